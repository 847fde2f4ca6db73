"""
What leaves a stream: records with the position they lead to, Progress, and the Gaps. Not what is asked of the server.

Everything goes through one lock, so that a Gap that a timer finds never overtakes the records of the flow.
"""

import asyncio
from collections.abc import Sequence

import structlog

from agent.spool.marks import StreamMark
from agent.watch import blindness
from agent.watch.blindness import Blindness, lost
from agent.watch.counters import WatchCounters
from agent.watch.position import Position
from agent.watch.settings import WatchSettings
from agent.watch.sink import Sink
from agent.watch.taking import Taken
from kubescribe.runtime.clock import Clock
from kubescribe.wire.records import AnyRecord, Gap, Progress

_LOG = structlog.get_logger()


class Outflow:
    """
    The one way from a watcher to its sink.

    `term` and `epoch` are those of the last grant; `position` is where the stream stands.
    """

    def __init__(self, stream: str, sink: Sink, settings: WatchSettings, counters: WatchCounters, clock: Clock) -> None:
        self.stream = stream
        self.position = Position()
        self.term = 0
        self.epoch = 0
        self._sink = sink
        self._settings = settings
        self._counters = counters
        self._clock = clock
        self._blindness = Blindness(stream)
        self._lock = asyncio.Lock()
        self._progress_at = float("-inf")
        self._orders = 0
        self._orders_in_list = 0
        self._orders_answered = 0

    def order_list(self) -> None:
        """Note that a list is owed: every mark says so until one that was begun later has ended."""
        self._orders += 1

    def begin_list(self) -> None:
        """Note that a list begins; it answers what was ordered before."""
        self._orders_in_list = self._orders

    async def put(self, records: Sequence[AnyRecord], position: Position | None = None) -> None:
        """Hand *records* over and move to *position*; without one they stand beside the flow and move nothing."""
        async with self._lock:
            if position is not None:
                self.position = position
            await self._sink.put(records, self._mark())

    async def take(self, taken: Taken) -> None:
        """Hand over what a watch gave, and move on."""
        now = self._clock.now_ns()
        records, position = taken.records, self.position
        if taken.events or taken.bookmarks:
            records.extend(self._sees_again(now, is_lost=False))
            position = Position(version=taken.version or position.version, seen_at=now)
        if taken.undecodable or taken.oversized:
            records.extend(self._damage(taken, now))
        if taken.bookmarks and not records and self._is_progress_due():
            records.append(self._progress(position, now))
        if records:
            await self.put(records, position)
        else:
            self.position = position

    async def take_listed(self, records: Sequence[AnyRecord], taken: Taken | None = None) -> None:
        """Hand over records from within a listing: until its end, a restart must list again."""
        more = self._damage(taken, self._clock.now_ns()) if taken is not None else ()
        standing = self.position
        await self.put([*records, *more], Position(version=standing.version, seen_at=standing.seen_at, is_listing=True))

    async def end_list(self, records: Sequence[AnyRecord], before: Position, version: int, cause: str | None) -> None:
        """
        Hand over the end of a list at *version*, and the Gap since *before*.

        The state is mended, the versions between are not; unless the list stands exactly where the stream stood.
        """
        now = self._clock.now_ns()
        self._orders_answered = self._orders_in_list
        has_missed = before.version not in {0, version}
        gaps = [lost(self.stream, cause, before.seen_at, now)] if cause is not None and has_missed else []
        await self.put(
            [*records, *gaps, *self._sees_again(now, is_lost=has_missed)], Position(version=version, seen_at=now)
        )

    async def end_regularly(self) -> None:
        """Note that a watch ended in its time: it was complete until now, and silent streams say so here."""
        now = self._clock.now_ns()
        position = Position(version=self.position.version, seen_at=now)
        records: list[AnyRecord] = [*self._sees_again(now, is_lost=False)]
        if self._is_progress_due():
            records.append(self._progress(position, now))
        if records:
            await self.put(records, position)
        else:
            self.position = position

    # Gaps.

    @property
    def is_blind(self) -> bool:
        """Tell whether the stream cannot see now."""
        return self._blindness.is_blind

    def begin_blind(self, seen_at: int) -> None:
        """Note that the stream was cut, complete until *seen_at*."""
        self._blindness.begin(seen_at, self._clock.monotonic())

    async def report_open(self, blind_seconds: float, cause: str = blindness.DISCONNECTED, detail: str = "") -> None:
        """Hand over the open Gap, once, if the stream has been blind for longer than *blind_seconds*."""
        gap = self._blindness.opened(self._clock.monotonic(), blind_seconds, cause, detail)
        if gap is not None:
            _LOG.warning("watch.blind", stream=self.stream, cause=cause, detail=detail)
            await self.put([gap])

    async def report_seeing(self) -> None:
        """
        Close the open Gap as recovered: the watch was accepted from the same version, though nothing came yet.

        The Progress ends what others said of the stream: who watched it before, or this agent before its restart.
        """
        now = self._clock.now_ns()
        gaps = self._sees_again(now, is_lost=False)
        await self.put([*gaps, self._progress(self.position, now)])

    def _sees_again(self, now: int, *, is_lost: bool) -> list[Gap]:
        since = self._blindness.since
        if since is None:
            return []
        # 0 is a start that the agent does not know; the journal counts that time.
        if since:
            self._counters.blind_seconds[self.stream] += max(0, now - since) / 10**9
        gap = self._blindness.end(now, is_lost=is_lost)
        return [] if gap is None else [gap]

    def _damage(self, taken: Taken, now: int) -> list[Gap]:
        start = self.position.seen_at or now
        gaps = []
        if taken.undecodable:
            count, first = len(taken.undecodable), taken.undecodable[0]
            _LOG.warning("watch.undecodable", stream=self.stream, count=count, first=first)
            gaps.append(lost(self.stream, blindness.UNDECODABLE, start, now, count=count, detail=first))
        if taken.oversized:
            count, size = len(taken.oversized), sum(line.size for line in taken.oversized)
            _LOG.warning("watch.oversized", stream=self.stream, count=count, bytes=size)
            gaps.append(lost(self.stream, blindness.OVERSIZED, start, now, count=count, size=size))
        return gaps

    def _is_progress_due(self) -> bool:
        return self._clock.monotonic() - self._progress_at >= self._settings.progress_seconds

    def _progress(self, position: Position, now: int) -> Progress:
        self._progress_at = self._clock.monotonic()
        return Progress(stream=self.stream, term=self.term, resource_version=position.version, observed_at=now)

    def _mark(self) -> StreamMark:
        position = self.position
        if self._orders > self._orders_answered:
            position = Position(version=position.version, seen_at=position.seen_at, is_listing=True)
        return position.marked(self.stream, self.epoch, self.term)
