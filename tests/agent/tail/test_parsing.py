"""Lines of log files, as runtimes write them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tail.parsing import LogLine, parse_line, parse_time
from kubescribe.wire.times import from_rfc3339, to_rfc3339

AT = from_rfc3339("2026-01-02T03:04:05.123456789Z")


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        ("2026-01-02T03:04:05.123456789Z", 123456789),
        ("2026-01-02T03:04:05.12Z", 120000000),
        ("2026-01-02T03:04:05Z", 0),
        ("2026-01-02T04:04:05.123456789+01:00", 123456789),
        ("2026-01-01T22:04:05.100000000-05:00", 100000000),
        ("2026-01-02T03:04:05+00:00", 0),
    ],
)
def test_both_runtimes_times_are_understood(stamp: str, nanoseconds: int) -> None:
    assert parse_time(stamp.encode()) == from_rfc3339("2026-01-02T03:04:05Z") + nanoseconds


@given(st.integers(0, 4_000_000_000 * 10**9), st.integers(0, 9))
def test_a_time_is_read_with_any_number_of_digits(at: int, digits: int) -> None:
    text = to_rfc3339(at)
    cut = text[:19] + (text[19 : 20 + digits] if digits else "") + "Z"

    assert parse_time(cut.encode()) == from_rfc3339(cut)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_time_are_none_and_raise_nothing(stamp: bytes) -> None:
    assert parse_time(stamp) is None or stamp[:1].isdigit()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-01-02T03:04:05.123456789Z stdout F hello  world ", LogLine(AT, b"stdout", False, b"hello  world ")),
        (b"2026-01-02T03:04:05.123456789Z stderr P half", LogLine(AT, b"stderr", True, b"half")),
        (b"2026-01-02T03:04:05.123456789Z stdout F:x:y hi", LogLine(AT, b"stdout", False, b"hi")),
        (b"2026-01-02T03:04:05.123456789Z stdout P:x hi", LogLine(AT, b"stdout", True, b"hi")),
        (b"2026-01-02T03:04:05.123456789Z stdout F ", LogLine(AT, b"stdout", False, b"")),
        (b"2026-01-02T03:04:05.123456789Z stdout F", LogLine(AT, b"stdout", False, b"")),
        (b"2026-01-02T03:04:05.123456789Z stdout F \xff\x00", LogLine(AT, b"stdout", False, b"\xff\x00")),
    ],
)
def test_a_cri_line_is_time_stream_tags_and_text(line: bytes, expected: LogLine) -> None:
    assert parse_line(line) == expected


def test_a_line_of_docker_is_partial_until_its_text_ends() -> None:
    whole = json.dumps({"log": "hé\n", "stream": "stderr", "time": "2026-01-02T03:04:05.123456789Z"})
    part = json.dumps(
        {"log": "half", "stream": "stdout", "time": "2026-01-02T03:04:05.123456789Z", "attrs": {"a": "b"}}
    )

    assert parse_line(whole.encode()) == LogLine(AT, b"stderr", False, "hé".encode())
    assert parse_line(part.encode()) == LogLine(AT, b"stdout", True, b"half")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_whose_text_is_not_lost(line: bytes) -> None:
    parsed = parse_line(line)

    assert parsed.at is not None or parsed == LogLine(None, b"stdout", False, line)


@given(st.integers(0, 4 * 10**18), st.sampled_from([b"stdout", b"stderr"]), st.sampled_from([b"P", b"F"]), st.binary())
def test_what_a_runtime_writes_is_what_is_read(at: int, stream: bytes, tag: bytes, text: bytes) -> None:
    line = b" ".join((to_rfc3339(at).encode(), stream, tag, text))

    assert parse_line(line) == LogLine(at, stream, tag == b"P", text)
