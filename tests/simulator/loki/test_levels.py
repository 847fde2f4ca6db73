"""The level of a line is the one that Loki would find."""

import pytest

from simulator.loki.levels import with_level


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"ERR","msg":"no info"}', "error"),
        ('{"a":{"lvl":"warning"}}', "warn"),
        ('{"a":{"b":{"level":"dbg"}}}', "unknown"),
        ("severity=dbg level=inf msg=x", "info"),
        ('level=odd msg="a fatal thing"', "fatal"),
        ("2026-01-02 WARN: slow", "warn"),
        ("misc:error here", "unknown"),
        ("terror and errors", "unknown"),
        ("[error] after info", "error"),
        ("", "unknown"),
    ],
)
def test_the_level_is_read_from_a_field_or_else_from_the_first_word_that_is_one(line: str, level: str) -> None:
    assert dict(with_level((), {}, line))["detected_level"] == level


def test_labels_and_metadata_come_before_the_line() -> None:
    assert with_level((), {"level": "WARNING"}, "error") == (("detected_level", "warn"),)
    assert dict(with_level((("severity_text", "Info"),), {}, "error"))["detected_level"] == "info"
    assert dict(with_level((("severity_number", "17"),), {}, "info"))["detected_level"] == "error"
    assert with_level((("detected_level", "Error"),), {"level": "info"}, "") == (("detected_level", "error"),)
