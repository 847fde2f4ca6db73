"""Records are those of a container runtime, to the byte."""

from datetime import timedelta

import pytest

from simulator.logs.records import MAX_CONTENT_BYTES, Clock, Format, Runtime

AT = 1_724_361_911_000_000_000


def clock(*times):
    given = iter(times)
    return Clock(lambda: next(given))


@pytest.mark.parametrize(
    ("nanos", "containerd", "crio"),
    [
        (0, "2024-08-22T21:25:11Z", "2024-08-22T21:25:11.000000000+00:00"),
        (1, "2024-08-22T21:25:11.000000001Z", "2024-08-22T21:25:11.000000001+00:00"),
        (120_000_000, "2024-08-22T21:25:11.12Z", "2024-08-22T21:25:11.120000000+00:00"),
    ],
)
def test_timestamps_are_as_wide_as_the_runtime_writes_them(nanos, containerd, crio):
    assert Format().timestamp(AT + nanos) == containerd
    assert Format(Runtime.CRIO).timestamp(AT + nanos) == crio


def test_a_node_may_have_another_zone():
    assert Format(offset=timedelta(hours=-5)).timestamp(AT) == "2024-08-22T16:25:11-05:00"


def test_a_line_of_exactly_the_limit_is_one_record_and_one_byte_more_is_two():
    line = b"x" * MAX_CONTENT_BYTES

    (whole,) = Format().records([line], "stdout", clock(AT))
    first, second = Format().records([line + b"y"], "stderr", clock(AT, AT + 5))

    assert whole == b"2024-08-22T21:25:11Z stdout F " + line + b"\n"
    assert first == b"2024-08-22T21:25:11Z stderr P " + line + b"\n"
    assert second == b"2024-08-22T21:25:11.000000005Z stderr F y\n"


def test_what_a_killed_program_wrote_last_is_a_part_without_an_end():
    found = Format().records([b"one", b"F two"], "stdout", clock(AT, AT + 1), ended=False)

    assert found == [b"2024-08-22T21:25:11Z stdout F one\n", b"2024-08-22T21:25:11.000000001Z stdout P F two\n"]


def test_times_never_repeat_nor_go_back():
    times = clock(5, 5, 3, 9)

    assert [times.next() for _ in range(4)] == [5, 6, 7, 9]
