"""
One reader of the journal on the way to Loki: its own cursor, its own pace.

    journal ─ replay ─▶ entries ─▶ pushes ─▶ the way to Loki ─ outcomes, in order ─▶ cursor

The cursor moves when Loki has everything up to it, or refused it for good; a crash repeats from there, byte for byte
the same, which Loki drops. While Loki is away the reader stands still with a few stretches in memory: the journal is
the buffer. What retention deletes before it was read is told, and counted.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog

from aggregator.errors import StoreError, StoreUnavailable
from aggregator.outlets.loki.entries import LokiEntry, pushes_of
from aggregator.records import RecordQuery, Stretch
from kubescribe.loki.errors import SenderStopped
from kubescribe.loki.pushes import Outcome, Sender
from kubescribe.runtime.backoff import Backoff
from kubescribe.wire.times import from_rfc3339

_log = structlog.get_logger()

ROWS = 500
"""In one read: some hundred kilobytes."""

WINDOW = 8
"""Stretches on their way to Loki; enough that its answers, a second apart, do not slow a catching-up."""

FIRST_SECONDS = 3600
"""How far back a reader begins that never read: Loki takes what is an hour behind a stream's newest, not more."""

_LOOK_SECONDS = 1.0
_KEEP_SECONDS = 1.0
"""Between two syncs of the journal's disk, for which ingest has to wait."""

_IDLE_KEEP_SECONDS = 60.0
"""The same while nothing was sent: what is read again then costs a read and no entry."""

_STOP_SECONDS = 3.0


class Cursors(Protocol):
    """The part of the journal that a reader needs."""

    async def cursor(self, name: str) -> int | None:
        """Return how far the reader has come."""
        ...

    async def move_cursor(self, name: str, seq: int) -> None:
        """Keep how far the reader has come."""
        ...

    async def replay(self, topic: str, query: RecordQuery) -> Stretch:
        """Return records of a topic above a seq."""
        ...

    async def seq_at(self, committed_at: int) -> int:
        """Return the highest seq committed before a time."""
        ...


@dataclass(slots=True)
class _OnItsWay:
    seq: int
    since: int
    outcomes: list["asyncio.Future[Outcome]"]


class _Committed(msgspec.Struct, gc=False, rename="camel"):
    committed_at: str


_COMMITTED = msgspec.json.Decoder(_Committed)

Translate = Callable[[list[bytes]], Awaitable[list[LokiEntry]]]


class LokiReader:
    """
    Brings one topic of the journal to Loki.

    `last_seq` tells the journal's, so that nothing is read when nothing came. `overtaken` counts how often retention
    was faster, `sent` entries by stream.
    """

    def __init__(
        self,
        journal: Cursors,
        sender: Sender,
        translate: Translate,
        *,
        topic: str,
        last_seq: Callable[[], int],
        now_ns: Callable[[], int],
    ) -> None:
        self.topic = topic
        self.name = f"loki/{topic}"
        self.position = 0
        self.overtaken = 0
        self.sent: dict[str, int] = {}
        self._journal = journal
        self._sender = sender
        self._translate = translate
        self._last_seq = last_seq
        self._now_ns = now_ns
        self._window: asyncio.Queue[_OnItsWay] = asyncio.Queue(WINDOW)
        self._oldest_at = 0
        self._told_horizon = 0
        self._stopping = asyncio.Event()
        self._backoff = Backoff()

    def lag_seconds(self) -> float:
        """Return how long the oldest record waits that Loki has not, 0 when there is none."""
        return max(0.0, (self._now_ns() - self._oldest_at) / 1e9) if self._oldest_at else 0.0

    async def run(self) -> None:
        """Read and send until `stop`. Raises StoreError when the journal cannot serve any more."""
        self.position = await self._begin()
        reading = asyncio.create_task(self._read(), name=f"{self.name} reading")
        acking = asyncio.create_task(self._acknowledge(), name=f"{self.name} acknowledging")
        try:
            await asyncio.wait({reading, acking}, return_when=asyncio.FIRST_COMPLETED)
            if not acking.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_SECONDS):
                        await self._window.join()
        finally:
            for task in (reading, acking):
                task.cancel()
            await asyncio.wait({reading, acking})
        for task in (reading, acking):
            error = None if task.cancelled() else task.exception()
            # What Loki has not answered when the way to it ends is read again by whoever comes next.
            if error is not None and not isinstance(error, SenderStopped):
                raise error
        await self._stopping.wait()

    async def stop(self) -> None:
        """Read nothing more; `run` ends when what is on its way has arrived, or after some seconds."""
        self._stopping.set()

    async def _begin(self) -> int:
        while True:
            try:
                if (known := await self._journal.cursor(self.name)) is not None:
                    return known
                return await self._journal.seq_at(self._now_ns() - FIRST_SECONDS * 10**9)
            except StoreUnavailable as error:
                await self._trouble(error)

    async def _read(self) -> None:
        position, seen = self.position, -1
        while not self._stopping.is_set():
            latest = self._last_seq()
            if seen >= latest:
                await self._pause(_LOOK_SECONDS)
                continue
            try:
                stretch = await self._journal.replay(self.topic, RecordQuery(after=position, limit=ROWS))
                entries = await self._translate([row for _, row in stretch.rows])
            except StoreUnavailable as error:
                await self._trouble(error)
                continue
            self._backoff.reset()
            self._check_horizon(stretch, position)
            before, position = position, stretch.last or max([position, *(seq for seq, _ in stretch.rows)])
            if stretch.last is None:
                # Of this topic there is nothing more up to here: a horizon that rises to it overtakes nobody.
                seen = latest
                position = max(position, latest)
            if position > before:
                await self._send(position, stretch, entries)

    async def _send(self, position: int, stretch: Stretch, entries: list[LokiEntry]) -> None:
        since = from_rfc3339(_COMMITTED.decode(stretch.rows[0][1]).committed_at) if stretch.rows else 0
        if entries and not self._oldest_at:
            self._oldest_at = since
        outcomes = [await self._sender.submit(push) for push in pushes_of(entries)]
        for entry in entries:
            self.sent[entry.stream] = self.sent.get(entry.stream, 0) + 1
        await self._window.put(_OnItsWay(position, since, outcomes))

    async def _acknowledge(self) -> None:
        loop = asyncio.get_running_loop()
        kept_at = loop.time()
        is_owed = True
        while True:
            part = await self._window.get()
            if part.outcomes:
                self._oldest_at = part.since
            for outcome in part.outcomes:
                await outcome
            self.position = part.seq
            is_owed = is_owed or bool(part.outcomes)
            if self._window.empty():
                self._oldest_at = 0
            due = kept_at + (_KEEP_SECONDS if is_owed else _IDLE_KEEP_SECONDS)
            if self._window.empty() and is_owed and not self._stopping.is_set():
                await self._pause(due - loop.time())
            if loop.time() >= due or self._stopping.is_set():
                await self._keep(self.position)
                kept_at, is_owed = loop.time(), False
            self._window.task_done()

    async def _keep(self, seq: int) -> None:
        try:
            await self._journal.move_cursor(self.name, seq)
        except StoreUnavailable as error:
            # The next one says it, too; until then a crash would repeat some more.
            _log.warning("loki_outlet.cursor_not_kept", reader=self.name, error=str(error))

    def _check_horizon(self, stretch: Stretch, after: int) -> None:
        if stretch.horizon.seq <= max(after, self._told_horizon):
            return
        self._told_horizon = stretch.horizon.seq
        self.overtaken += 1
        _log.error(
            "loki_outlet.overtaken",
            reader=self.name,
            after=after,
            horizon=stretch.horizon.seq,
            hint="records between these were deleted before Loki took them; keep them longer, or see why Loki is away",
        )

    async def _trouble(self, error: StoreError) -> None:
        _log.warning("loki_outlet.journal_unavailable", reader=self.name, error=str(error))
        await self._pause(self._backoff.next_seconds())

    async def _pause(self, seconds: float) -> None:
        """Wait, but not over a stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
