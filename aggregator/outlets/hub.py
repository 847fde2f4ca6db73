"""
The feed's hub: committed records in, frames out, to however many subscribers, none of whom waits for another.

Ingest calls `publish` after each commit. One task (`run`) goes round all live seats, at most once in 50 ms, and writes
to each what came since its last frame. Whoever is not up to date (new, or too slow) has no seat: it replays from ring
and journal at its own pace (`catchup.py`) and takes a seat when it has reached the present. Nothing is kept for a slow
subscriber but its position.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aggregator.metrics import FeedMetrics
from aggregator.outlets.clients import Client, Outgoing
from aggregator.outlets.filters import Filter
from aggregator.outlets.frames import Framing, encode_text
from aggregator.outlets.lanes import ROW_SEATS, Lane, Row, Seat, cut_tails
from aggregator.outlets.ring import Ring
from aggregator.outlets.states import latest_states
from aggregator.records import Published
from kubescribe.wire.times import to_rfc3339


@dataclass(slots=True, kw_only=True, frozen=True)
class FeedLimits:
    """How much the feed holds and how long it waits; seconds and bytes."""

    batch_seconds: float = 0.05
    heartbeat_seconds: float = 20.0
    stuck_seconds: float = 30.0
    max_clients: int = 10_000
    max_subscriptions: int = 32
    max_message_bytes: int = 64 * 1024
    ring_items: int = 50_000
    ring_bytes: int = 32 * 2**20
    buffer_bytes: int = 256 * 2**20
    """For all clients together: each may have its share waiting, between the next two."""
    min_client_bytes: int = 64 * 2**10
    max_client_bytes: int = 2**20
    journal_reads: int = 4
    """Replays that read at the same time; the API's own reads must find a free reader."""


_TURN_SECONDS = 0.005
"""Filters of many lanes, and nothing written: others get their turn all the same."""

_SILENT_HEARTBEATS = 2.5


class Hub:
    """See the module. All methods run on the event loop; none blocks."""

    def __init__(
        self,
        *,
        journal_id: str,
        last_seq: int,
        metrics: FeedMetrics,
        now_ns: Callable[[], int],
        limits: FeedLimits | None = None,
    ) -> None:
        self.journal_id = journal_id
        self.limits = limits or FeedLimits()
        self.ring = Ring(last_seq=last_seq, max_items=self.limits.ring_items, max_bytes=self.limits.ring_bytes)
        self.journal_reads = asyncio.Semaphore(self.limits.journal_reads)
        self.metrics = metrics
        self._now_ns = now_ns
        self._lanes: dict[tuple[str, Filter], Lane] = {}
        self._clients: set[Client] = set()
        self._news = asyncio.Event()
        self._beat_at = 0.0
        self._tails_at = last_seq
        self._items_of: dict[tuple[str, int], list[Published]] = {}
        self._tails_of: dict[tuple[str, Filter, int], list[tuple[int, bytes]]] = {}

    @property
    def last_seq(self) -> int:
        """The highest seq that was published; everything up to it is in the journal."""
        return self.ring.last_seq

    @property
    def client_count(self) -> int:
        """How many connections the feed serves."""
        return len(self._clients)

    def publish(self, items: Sequence[Published]) -> None:
        """Take what was committed, in the order of seq and after the commit."""
        self.ring.extend(items)
        self._news.set()

    def time(self) -> str:
        """Return the time now as messages carry it."""
        return to_rfc3339(self._now_ns())

    def connect(self, transport: Outgoing, framing: Framing, *, hears: bool) -> Client | None:
        """Return a new client, None when there are too many; *hears* when the peer answers pings."""
        if len(self._clients) >= self.limits.max_clients:
            self.metrics.dropped.labels("too_many_clients").inc()
            return None
        client = Client(
            transport,
            framing,
            max_buffered=self.max_buffered,
            stuck_seconds=self.limits.stuck_seconds,
            clock=asyncio.get_running_loop().time,
            hears=hears,
        )
        self._clients.add(client)
        self.metrics.clients.set(len(self._clients))
        return client

    def disconnect(self, client: Client) -> None:
        """Forget *client*; its seats must have been left."""
        client.gone = client.gone or "closed"
        self._clients.discard(client)
        self.metrics.clients.set(len(self._clients))

    def drop(self, client: Client, cause: str) -> None:
        """End a connection that cannot go on; *cause* is counted."""
        if not client.gone:
            self.metrics.dropped.labels(cause).inc()
            client.leave(cause, encode_text({"type": "bye", "reason": cause, "retryAfterMs": 1000}))

    def max_buffered(self) -> int:
        """Return the bytes that may wait for one client now."""
        share = self.limits.buffer_bytes // max(1, len(self._clients))
        return min(max(share, self.limits.min_client_bytes), self.limits.max_client_bytes)

    def take_seat(self, seat: Seat, topic: str, wanted: Filter, covered: int) -> None:
        """Make a subscriber live that was sent everything up to *covered*, which must be `last_seq` or above."""
        lane = self._lanes.get((topic, wanted))
        if lane is None:
            lane = self._lanes[topic, wanted] = Lane(topic, wanted, asyncio.get_running_loop().time())
        seat.lane = lane
        lane.add(seat, covered)

    def leave_seat(self, seat: Seat) -> None:
        """Free *seat*; nothing is written to it any more, and its position is what was written. Idempotent."""
        lane = seat.lane
        if seat.alive and lane is not None:
            lane.remove(seat)
            if not lane.count:
                del self._lanes[lane.topic, lane.wanted]

    async def run(self) -> None:
        """Deliver for ever."""
        loop = asyncio.get_running_loop()
        limits = self.limits
        self._beat_at = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.heartbeat_seconds / 8):
                    await self._news.wait()
            started = loop.time()
            if self._news.is_set():
                self._news.clear()
                await self._round()
            await self._beat(loop.time())
            if self._lanes:
                await asyncio.sleep(max(0.0, started + limits.batch_seconds - loop.time()))

    async def _round(self) -> None:
        turn = _Turn()
        for lane in list(self._lanes.values()):
            for row in lane.take_rows():
                # Between two awaits nothing is published and no seat changes hands: what is written here is whole.
                if row.covered < self.last_seq:
                    self._serve(lane, row, turn.loop.time())
                    turn.count += len(row.seats)
                lane.put_back(row)
                await turn.next()

    def _serve(self, lane: Lane, row: Row, now: float) -> None:
        if row.covered < self.ring.floor:
            # More came within one round than the ring holds: its seats go back to the journal for it.
            for seat in row.seats:
                self._fall_behind(seat)
            return
        tails = self._tails(lane, row.covered)
        if tails:
            lane.spoke_at = now
        for frame, seq in row.deltas(tails, self.last_seq):
            self._write(row, frame, seq)

    def _tails(self, lane: Lane, covered: int) -> list[tuple[int, bytes]]:
        """Return what is new for a lane above *covered*, cut into tails; remembered until something is published."""
        if self._tails_at != self.last_seq:
            self._tails_at = self.last_seq
            self._items_of.clear()
            self._tails_of.clear()
        key = (lane.topic, lane.wanted, covered)
        tails = self._tails_of.get(key)
        if tails is None:
            wanted = lane.wanted
            items = self._items(lane.topic, covered)
            mine = items if wanted.is_open else [item for item in items if wanted.matches(item)]
            tails = self._tails_of[key] = list(cut_tails(mine))
        return tails

    def _items(self, topic: str, covered: int) -> list[Published]:
        items = self._items_of.get((topic, covered))
        if items is None:
            if topic == "objects":
                items = latest_states(self._items("changes", covered))
            else:
                items = [item for item in self.ring.after(covered) if item.topic == topic]
            self._items_of[topic, covered] = items
        return items

    def _write(self, row: Row, frame: bytes, seq: int) -> None:
        limit = self.max_buffered()
        for seat in row.seats:
            if not seat.alive:
                continue
            transport = seat.client.transport
            if transport.get_write_buffer_size() > limit or transport.is_closing():
                self._fall_behind(seat)
                continue
            transport.write(frame)
            seat.position = seq

    async def _beat(self, now: float) -> None:
        heartbeat = self.limits.heartbeat_seconds
        turn, time = _Turn(), self.time()
        for lane in list(self._lanes.values()):
            if now - lane.spoke_at >= heartbeat:
                lane.spoke_at = now
                for row in lane.take_rows():
                    self._write(row, row.bookmark(time), row.covered)
                    turn.count += len(row.seats)
                    lane.put_back(row)
                    await turn.next()
        if now - self._beat_at < heartbeat:
            return
        self._beat_at = now
        for client in list(self._clients):
            if client.heard_at is not None and now - client.heard_at > heartbeat * _SILENT_HEARTBEATS:
                self.drop(client, "silent")
            elif not client.is_full:
                client.write(client.framing.beat(time))
            turn.count += 1
            await turn.next()

    def _fall_behind(self, seat: Seat) -> None:
        if seat.alive:
            self.metrics.fell_behind.inc()
            self.leave_seat(seat)
            seat.left()


class _Turn:
    """Gives the other tasks of the loop their turn, by writes made and by time taken."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.count = 0
        self._until = self.loop.time() + _TURN_SECONDS

    async def next(self) -> None:
        """Let others run when this turn was long enough."""
        if self.count >= ROW_SEATS or self.loop.time() > self._until:
            await asyncio.sleep(0)
            self.count = 0
            self._until = self.loop.time() + _TURN_SECONDS
