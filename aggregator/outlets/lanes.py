"""
Lanes and seats: who hears the same thing at the same time, and the frames that they share.

A lane is one question (topic and filter). A seat is a subscriber in it that is up to date. Seats with the same framing,
id and position form a cohort: one frame, built once, goes to all of them. Pure; the hub does the writing.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aggregator.outlets.clients import Client
from aggregator.outlets.filters import Filter
from aggregator.outlets.frames import Framing, bookmark, delta_head, delta_tail
from aggregator.records import Published

MAX_FRAME_BYTES = 256 * 1024
"""Where a delta is cut in two; a single record may be larger."""


class Seat:
    """
    A live subscriber.

    `position` is its resume point: the seq that the last frame told it, the `prev` of its next delta. A seat that left
    is never taken again: frames that were made for it before must not reach its subscriber's next one. `left` tells its
    subscriber that the hub took it back.
    """

    __slots__ = ("alive", "client", "lane", "left", "position", "subscription")

    def __init__(self, client: Client, subscription: str, position: int, left: Callable[[], None]) -> None:
        self.client = client
        self.lane: Lane | None = None
        self.subscription = subscription
        self.position = position
        self.alive = True
        self.left = left


@dataclass(slots=True, frozen=True)
class Job:
    """One frame for many seats, all at the same position before; afterwards they are at `seq`."""

    frame: bytes
    seats: list[Seat]
    seq: int


_Cohort = tuple[Framing, str, int, int]
"""Framing, id, position, and the seq up to which nothing more is for these seats: beyond the position at first, when
what lies between was filtered out."""


class Lane:
    """The seats of one question."""

    def __init__(self, topic: str, wanted: Filter, now: float) -> None:
        self.topic = topic
        self.wanted = wanted
        self.spoke_at = now
        self.count = 0
        self._cohorts: dict[_Cohort, list[Seat]] = {}

    def add(self, seat: Seat, covered: int) -> None:
        """Seat a subscriber that was sent everything up to *covered*."""
        self._cohorts.setdefault((seat.client.framing, seat.subscription, seat.position, covered), []).append(seat)
        self.count += 1

    def remove(self, seat: Seat) -> None:
        """Free a seat; its slot is swept with the next frame."""
        seat.alive = False
        self.count -= 1

    def seats(self) -> list[Seat]:
        """Return every seat that is taken."""
        return [seat for seats in self._cohorts.values() for seat in seats if seat.alive]

    def deltas(self, items: Sequence[Published], now: float) -> list[Job]:
        """Return the frames that bring every seat up to the last of *items* (ascending, of this lane's topic)."""
        mine = list(items) if self.wanted.is_open else [item for item in items if self.wanted.matches(item)]
        if not mine:
            return []
        self.spoke_at = now
        seqs = [item.seq for item in mine]
        tails: dict[int, list[tuple[int, bytes]]] = {}
        jobs: list[Job] = []
        cohorts: dict[_Cohort, list[Seat]] = {}
        for (framing, subscription, position, covered), seats in self._cohorts.items():
            taken = [seat for seat in seats if seat.alive]
            if not taken:
                continue
            first = bisect_right(seqs, covered)
            if first not in tails:
                tails[first] = list(cut_tails(mine[first:]))
            prev = position
            for seq, tail in tails[first]:
                frame = framing.opening(delta_head(subscription, prev), tail, seq) + tail + framing.closing
                jobs.append(Job(frame, taken, seq))
                prev = seq
            _merge(cohorts, (framing, subscription, prev, max(prev, covered)), taken)
        self._cohorts = cohorts
        return jobs

    def bookmarks(self, seq: int, time: str, now: float) -> list[Job]:
        """Return a bookmark at *seq* for every seat, at its own position where that is further."""
        self.spoke_at = now
        jobs: list[Job] = []
        cohorts: dict[_Cohort, list[Seat]] = {}
        for (framing, subscription, _, covered), seats in self._cohorts.items():
            taken = [seat for seat in seats if seat.alive]
            if not taken:
                continue
            reached = max(covered, seq)
            jobs.append(Job(framing.message(bookmark(subscription, reached, time), reached), taken, reached))
            _merge(cohorts, (framing, subscription, reached, reached), taken)
        self._cohorts = cohorts
        return jobs


def _merge(cohorts: dict[_Cohort, list[Seat]], key: _Cohort, seats: list[Seat]) -> None:
    # A new list: the jobs keep theirs while they are written, and `add` may extend the lane's meanwhile.
    cohorts[key] = cohorts[key] + seats if key in cohorts else list(seats)


def cut_tails(items: Sequence[Published]) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, delta tail) for *items* in their order, each at most MAX_FRAME_BYTES unless one record is larger."""
    part: list[bytes] = []
    size = seq = 0
    for item in items:
        if part and size + len(item.json) > MAX_FRAME_BYTES:
            yield seq, delta_tail(seq, part)
            part, size = [], 0
        part.append(item.json)
        size += len(item.json)
        seq = item.seq
    if part:
        yield seq, delta_tail(seq, part)
