"""Delays grow, are bounded and drawn, and begin anew after health."""

from kubescribe.runtime.backoff import Backoff


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ns(self) -> int:
        """Wall time."""
        return int(self.seconds * 1e9)

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds


def highest(_low: float, high: float) -> float:
    return high


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(first_seconds=1, cap_seconds=10, draw=highest, clock=Clock())

    assert [backoff.next_seconds() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_a_night_of_failures_does_not_overflow() -> None:
    backoff = Backoff(draw=highest, clock=Clock())

    for _ in range(5000):
        delay = backoff.next_seconds()

    assert delay == 30.0


def test_a_delay_is_drawn_from_the_whole_range() -> None:
    asked: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    Backoff(first_seconds=1, floor_seconds=0.1, draw=draw, clock=Clock()).next_seconds()

    assert asked == [(0.1, 1)]


def test_growth_begins_anew_after_health_and_not_before() -> None:
    clock = Clock()
    backoff = Backoff(first_seconds=1, healthy_seconds=120, draw=highest, clock=clock)
    backoff.next_seconds()

    clock.seconds = 1 + 119
    assert backoff.next_seconds() == 2
    clock.seconds += 2 + 120
    assert backoff.next_seconds() == 1


async def test_a_servers_retry_after_is_obeyed() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backoff = Backoff(first_seconds=1, draw=highest, sleep=sleep, clock=Clock())

    assert [await backoff.wait(), await backoff.wait(at_least_seconds=7)] == slept == [1, 7]


def test_success_beyond_doubt_forgets_the_failures() -> None:
    backoff = Backoff(first_seconds=1, draw=highest, clock=Clock())
    backoff.next_seconds()
    backoff.reset()

    assert backoff.next_seconds() == 1
