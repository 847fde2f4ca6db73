"""
Lanes and seats: who hears the same thing at the same time, and the frames that they share.

A lane is one question (topic and filter). A seat is a subscriber in it that is up to date. Seats with the same framing,
id and position sit in one row: one frame, built once, goes to all of them. Pure; the hub does the writing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aggregator.outlets.clients import Client
from aggregator.outlets.filters import Filter
from aggregator.outlets.frames import Framing, bookmark, delta_head, delta_tail
from aggregator.records import Published

MAX_FRAME_BYTES = 256 * 1024
"""Where a delta is cut in two; a single record may be larger."""

ROW_SEATS = 200
"""Seats that are served in one go. A write to loopback costs the kernel ~10 µs, and the loop must not stall; what is
committed while the first rows are served is in the frames of the last ones, so that nobody waits for two rounds."""


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


@dataclass(slots=True)
class Row:
    """
    Seats that hear the same frame: same framing, same id, same position.

    `covered` is the seq up to which nothing more is for them: beyond the position, when what lies between was filtered
    out. A row holds at most ROW_SEATS, or the seats of one client's turn.
    """

    framing: Framing
    subscription: str
    position: int
    covered: int
    seats: list[Seat]

    def deltas(self, tails: Sequence[tuple[int, bytes]], covered: int) -> Iterator[tuple[bytes, int]]:
        """Yield (frame, seq) for each of *tails*, and move the row to *covered*; write each before the next."""
        framing = self.framing
        for seq, tail in tails:
            head = delta_head(self.subscription, self.position)
            yield framing.opening(head, tail, seq) + tail + framing.closing, seq
            self.position = seq
        self.covered = covered

    def bookmark(self, time: str) -> bytes:
        """Return a bookmark at what is covered, and move the position there."""
        self.position = self.covered
        return self.framing.message(bookmark(self.subscription, self.covered, time), self.covered)


class Lane:
    """The seats of one question. A row that is served is taken out and put back; two that became equal are one."""

    def __init__(self, topic: str, wanted: Filter, now: float) -> None:
        self.topic = topic
        self.wanted = wanted
        self.spoke_at = now
        self.count = 0
        self._rows: list[Row] = []
        self._last: dict[tuple[Framing, str], Row] = {}

    def add(self, seat: Seat, covered: int) -> None:
        """Seat a subscriber that was sent everything up to *covered*."""
        self.count += 1
        self.put_back(Row(seat.client.framing, seat.subscription, seat.position, covered, [seat]))

    def remove(self, seat: Seat) -> None:
        """Free a seat; its slot is swept when its row is taken."""
        seat.alive = False
        self.count -= 1

    def take_rows(self) -> list[Row]:
        """Take every row out, to be put back one by one."""
        rows, self._rows = self._rows, []
        self._last.clear()
        return rows

    def put_back(self, row: Row) -> None:
        """Put *row* among the others, into the last one like it where there is room."""
        seats = [seat for seat in row.seats if seat.alive]
        if not seats:
            return
        key = (row.framing, row.subscription)
        last = self._last.get(key)
        if (
            last is not None
            and last.position == row.position
            and last.covered == row.covered
            and len(last.seats) + len(seats) <= ROW_SEATS
        ):
            last.seats += seats
            return
        row.seats = seats
        self._last[key] = row
        self._rows.append(row)


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
