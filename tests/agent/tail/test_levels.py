"""Levels are counted as each line would be asked, only cheaper."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tail.levels import Levels
from kubescribe.lines.levels import level_of

WORDS = st.sampled_from(["INFO", "WARN", "ERROR", "DEBUG", "FATAL", "info", "x"])


@pytest.mark.parametrize(
    "shape",
    [
        "2026-01-02 {} took 3ms",
        '{{"ts":1,"level":"{}","msg":"hello"}}',
        "level={} msg=hello",
        "[{}] hello",
        "GET /{} 200",
    ],
)
@given(words=st.lists(WORDS, max_size=30))
def test_lines_of_one_shape_have_the_level_that_each_says(shape: str, words: list[str]) -> None:
    texts = [shape.format(word).encode() for word in words]
    levels = Levels()

    counted = levels.count(texts) + levels.count(texts)

    expected = Counter(level_of(text) for text in texts * 2)
    assert counted == expected


def test_lines_that_say_nothing_are_of_no_level() -> None:
    assert Levels().count([b"GET /cart 200", b"POST /cart 201"]) == {"": 2}


def test_klogs_letter_is_a_level() -> None:
    assert Levels().count(
        [b"I0102 03:04:05.123456       1 a.go:1] hi", b"E0102 03:04:05.123456       1 a.go:1] hi"]
    ) == {
        "info": 1,
        "error": 1,
    }
