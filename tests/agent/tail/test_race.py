"""When the kubelet overtakes the reader: what an operator is told, and what is no danger."""

import pytest

from agent.tail.race import NEVER, Race
from agent.tail.retention import DEFAULT_BYTES

KB, MIB = 1_000, 2**20


def after(seconds: int, *, written: float, taken: float, lag: int = 0) -> tuple[Race, int]:
    """Return the race after *seconds* of both paces, bytes a second, looked at twice a second, and what is behind."""
    race = Race()
    for half in range(2 * seconds + 1):
        race.note(int(written * half / 2), int(taken * half / 2), 100.0 + half / 2)
    return race, lag + int((written - taken) * seconds)


def told(race_and_lag: tuple[Race, int]) -> float:
    race, lag = race_and_lag
    return race.seconds_to_loss(lag, DEFAULT_BYTES)


def test_without_loki_it_is_the_room_that_is_left_by_the_pace_of_writing() -> None:
    assert told(after(100, written=100 * KB, taken=0)) == pytest.approx((DEFAULT_BYTES - 100 * 100 * KB) / (100 * KB))


def test_a_reader_that_is_slower_than_the_writer_is_overtaken_by_the_difference() -> None:
    behind = after(100, written=300 * KB, taken=200 * KB)

    assert told(behind) == pytest.approx((DEFAULT_BYTES - 100 * 100 * KB) / (100 * KB))


@pytest.mark.parametrize("pace", [15 * KB, 5_000 * KB])
def test_a_busy_container_with_a_little_on_its_way_is_in_no_danger(pace: int) -> None:
    assert told(after(300, written=pace, taken=pace, lag=2 * MIB)) == NEVER


def test_a_backlog_that_shrinks_is_in_no_danger_however_large_it_is() -> None:
    assert told(after(60, written=100 * KB, taken=200 * KB, lag=45 * MIB)) == NEVER


def test_a_backlog_that_stays_as_it_is_is_in_no_danger() -> None:
    assert told(after(60, written=100 * KB, taken=100 * KB, lag=45 * MIB)) == NEVER


def test_bursts_of_pushes_are_no_danger() -> None:
    race = Race()
    for second in range(600):
        race.note(1_000 * KB * second, 1_000 * KB * (second - second % 3), float(second))
        assert race.seconds_to_loss(1_000 * KB * (second % 3), DEFAULT_BYTES) == NEVER


def test_what_takes_longer_than_a_day_is_out_of_sight() -> None:
    assert told(after(100, written=100, taken=0)) == NEVER


def test_nothing_is_said_before_anything_was_measured() -> None:
    assert told(after(20, written=1_000 * KB, taken=0)) == NEVER


def test_where_the_kubelet_deletes_already_it_is_now() -> None:
    """What is behind grows no more then: the kubelet takes away what is added."""
    race, _ = after(600, written=1_000 * KB, taken=0)

    assert race.seconds_to_loss(DEFAULT_BYTES - 5 * MIB, DEFAULT_BYTES) < 10
    assert race.seconds_to_loss(DEFAULT_BYTES + 5 * MIB, DEFAULT_BYTES) == 0


def test_an_outage_is_told_within_a_minute_and_forgotten_within_a_minute_of_its_end() -> None:
    race, written, taken, said = Race(), 0, 0, []
    for second in range(300):
        is_away = 60 <= second < 180
        written += 200 * KB
        taken = taken if is_away else min(written, taken + 2_000 * KB)
        race.note(written, taken, float(second))
        said.append(race.seconds_to_loss(written - taken, DEFAULT_BYTES))

    assert said[59] == NEVER
    assert said[125] < 300
    assert said[179] < said[125]
    assert said[245] == NEVER
