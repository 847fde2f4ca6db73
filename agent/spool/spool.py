"""
The spool as the agent uses it: put records, read batches in order, acknowledge.

Asyncio outside, one disk thread inside. Not the link: it knows nothing of sockets, only which frame follows which and
what the aggregator has.
"""

import asyncio
import contextlib
import errno
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog

from agent.spool.disk import Disk
from agent.spool.errors import SpoolClosed
from agent.spool.frames import Frame
from agent.spool.intake import Draft, Intake
from agent.spool.limits import SpoolLimits
from agent.spool.marks import StreamMark
from agent.spool.recent import Recent
from kubescribe.runtime.room import RoomOf, room_of
from kubescribe.wire.records import AnyRecord

_LOG = structlog.get_logger()
_P = ParamSpec("_P")
_T = TypeVar("_T")
_READ_BYTES = 2**20
_LIVE_SECONDS = 1.0
"""How long after it last waited for a frame a reader still counts as live."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_RECORD_OVERHEAD = 512
"""What a waiting record costs in memory beside its encoded bytes, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """
    How the spool does; counts since the process began, `dropped_records` since the folder was made.

    `trouble` is what the disk said last, "" while writing works.
    """

    bytes: int
    records: int
    waiting_bytes: int
    oldest_unsent_at: int | None
    dropped_records: int
    oversized_records: int
    write_failures: int
    torn_bytes: int
    trouble: str


class Spool:
    """
    An open spool; made by `open`, closed by `close` or `async with`.

    `put` may be called by many tasks; the records of one put stay together and in order. Reading is for one task.
    """

    def __init__(self, disk: Disk, limits: SpoolLimits, executor: ThreadPoolExecutor) -> None:
        self._disk = disk
        self._limits = limits
        self._executor = executor
        self._intake = Intake()
        self._recent = Recent(disk.store.last_n, limits.recent_bytes)
        self._caught_up_at = -_LIVE_SECONDS
        self._hurry = asyncio.Event()
        self._pending = asyncio.Event()
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self._writing = False
        self._flushing = 0
        self._failures = 0
        self._trouble = ""
        # Owned by this object from open to close; `put` and `flush` raise what it died of.
        self._writer = asyncio.create_task(self._write_forever(), name="spool-writer")

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        agent: str,
        limits: SpoolLimits | None = None,
        clock: Callable[[], int] = time.time_ns,
        room: RoomOf = room_of,
        boot: str | None = None,
    ) -> Self:
        """
        Open the spool folder *path*, making it when it is not there; *agent* is the name Gaps of unknown streams carry.

        Raises SpoolInUse and SpoolUnusable. *boot* names this boot of the machine; None asks the system.
        """
        bounds = limits or SpoolLimits()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        try:
            disk = await asyncio.get_running_loop().run_in_executor(
                executor, lambda: Disk.open(path, bounds, agent=agent, clock=clock, room=room, boot=boot)
            )
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(disk, bounds, executor)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def spool_id(self) -> str:
        """The id under which the link sends; changes with `resume_after` and `renumber`."""
        return self._disk.identity.spool_id

    @property
    def former_spool_ids(self) -> tuple[str, ...]:
        """The ids that the folder had before, the last ones."""
        return self._disk.identity.former

    @property
    def base(self) -> int:
        """What to subtract from a frame's number to get its batch's number on the link."""
        return self._disk.identity.base

    @property
    def journal_id(self) -> str:
        """The journal that last welcomed this agent, "" for none."""
        return self._disk.identity.journal_id

    @property
    def cluster_uid(self) -> str:
        """The cluster whose records these are, "" until `bind_cluster`."""
        return self._disk.identity.cluster_uid

    @property
    def redaction_key(self) -> bytes | None:
        """The journal's key for keyed hashes, None until the first welcome."""
        return self._disk.identity.key

    @property
    def last_n(self) -> int:
        """The newest frame written."""
        return self._recent.last_n

    @property
    def has_drops(self) -> bool:
        """Tell whether something was given up that `settle_drops` has not yet told."""
        return self._disk.store.settling

    @property
    def is_half_empty(self) -> bool:
        """Tell whether Snapshots would find room: at most half of the limit is in use."""
        return self._disk.store.size * 2 <= self._limits.max_bytes

    def marks(self) -> Mapping[str, StreamMark]:
        """Return each stream's mark as it is on disk now."""
        return dict(self._disk.store.marks)

    def stats(self) -> SpoolStats:
        """Return how the spool does."""
        store = self._disk.store
        # Exact while the link keeps up, from what is in memory; near enough behind a backlog.
        unsent = self._recent.from_on(store.acknowledged + 1)
        seen = min((span.first_at for frame in unsent or () for span in frame.head.spans), default=None)
        return SpoolStats(
            bytes=store.size,
            records=store.records if unsent is None else sum(frame.count for frame in unsent),
            waiting_bytes=self._intake.size,
            oldest_unsent_at=store.oldest_at if unsent is None else seen,
            dropped_records=store.state.dropped,
            oversized_records=self._intake.oversized,
            write_failures=self._failures,
            torn_bytes=store.torn_bytes,
            trouble=self._trouble,
        )

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark | None) -> None:
        """
        Take *records*, then *mark*, which is written in the frame of the last of them.

        Returns when they are taken, not when they are on disk; waits while too much is unwritten, which is how a slow
        or failing disk slows the watches. All or nothing on cancel. Raises SpoolClosed.
        """
        while self._waiting_bytes() >= self._limits.unwritten_bytes:
            self._check()
            async with self._changed:
                await self._changed.wait()
        self._check()
        self._intake.add(records, mark)
        if self._intake:
            self._pending.set()
        if self._intake.size >= self._frame_bytes():
            self._hurry.set()

    async def flush(self) -> None:
        """Wait until everything put before is on disk. Waits for ever on a disk that fails for ever."""
        self._flushing += 1
        try:
            while self._intake or self._writing:
                self._check()
                self._hurry.set()
                async with self._changed:
                    await self._changed.wait()
        finally:
            self._flushing -= 1

    async def read_after(self, n: int) -> list[Frame]:
        """
        Return frames behind number *n*, oldest first, about 1 MiB of them; wait until there is one.

        The first may be farther than n + 1: what lay between was dropped.
        """
        while True:
            if frames := self._recent_behind(n):
                return frames
            if self._recent.last_n > n:
                frames = await self._read_disk(n)
                if frames:
                    return frames
            await self._wait_for_frame(n)

    async def acknowledge(self, n: int) -> None:
        """Note that frames up to *n* are committed. A disk that fails is noted in the stats; the next call repeats."""
        try:
            await self._run(self._disk.store.acknowledge, n)
        except OSError as error:
            self._note_trouble(error)

    def note_sent(self, n: int) -> None:
        """Note, before sending, that the aggregator may have frame *n*."""
        self._disk.claimed = max(self._disk.claimed, n)

    async def resume_after(self, last_n: int) -> int | None:
        """Return the frame after which to send; None when Hello must be said again, under a new id. Raises OSError."""
        return await self._run(self._disk.resume_after, last_n)

    async def renumber(self, base: int) -> None:
        """Take a new spool id under which the frame after *base* is batch 1. Raises OSError."""
        await self._run(self._disk.renumber, base)

    async def bind_cluster(self, cluster_uid: str) -> None:
        """Give the folder to a cluster. Raises SpoolForeign when it has another, SpoolUnusable."""
        await self._run(self._disk.bind_cluster, cluster_uid)

    async def welcome(self, journal_id: str, redaction_key: bytes) -> None:
        """Keep the journal's id and key beside the spool. Raises OSError."""
        await self._run(self._disk.welcome, journal_id, redaction_key)

    async def settle_drops(self) -> tuple[str, ...]:
        """Write what was dropped as Gaps; return the streams that must list again. Raises OSError: nothing changed."""
        frames, relist = await self._run(self._disk.settle)
        for frame in frames:
            self._recent.add(frame)
        if frames:
            async with self._changed:
                self._changed.notify_all()
        return relist

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Write what waits, at most *grace_seconds*; then let the folder go. Idempotent."""
        if self._closing.is_set():
            return
        with contextlib.suppress(TimeoutError, SpoolClosed):
            async with asyncio.timeout(grace_seconds):
                await self.flush()
        self._closing.set()
        self._writer.cancel()
        await asyncio.wait([self._writer])
        async with self._changed:
            self._changed.notify_all()
        await self._run(self._disk.close)
        self._executor.shutdown(wait=False)

    def _check(self) -> None:
        if self._closing.is_set():
            raise SpoolClosed("spool: closed")
        if self._writer.done():
            raise SpoolClosed("spool: the writer ended") from self._writer.exception()

    def _waiting_bytes(self) -> int:
        return self._intake.size + self._intake.records * _RECORD_OVERHEAD

    def _frame_bytes(self) -> int:
        return self._limits.frame_bytes if self._is_live() else self._limits.idle_frame_bytes

    async def _run(self, job: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: job(*arguments, **options))

    async def _write_forever(self) -> None:
        while True:
            await self._pending.wait()
            await self._linger()
            draft = self._intake.take(self._frame_bytes(), self._limits.frame_records)
            self._writing = True
            if not self._intake:
                self._pending.clear()
            if self._intake.size < self._frame_bytes() and not self._flushing:
                self._hurry.clear()
            await self._write(draft)
            self._writing = False
            async with self._changed:
                self._changed.notify_all()

    async def _linger(self) -> None:
        seconds = self._limits.linger_seconds if self._is_live() else self._limits.idle_linger_seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def _write(self, draft: Draft) -> None:
        pause = self._limits.retry_seconds
        while True:
            try:
                frame = await self._run(self._disk.append, draft)
            except OSError as error:
                self._failures += 1
                self._note_trouble(error)
                if error.errno in _FULL and await self._run(self._disk.relieve):
                    continue
                await asyncio.sleep(pause)
                pause = min(2 * pause, 30.0)
                continue
            if self._trouble:
                _LOG.info("spool.write_recovered")
                self._trouble = ""
            self._recent.add(frame)
            return

    def _note_trouble(self, error: OSError) -> None:
        if not self._trouble:
            _LOG.error("spool.write_failed", error=str(error))
        self._trouble = str(error)[:256]

    def _recent_behind(self, n: int) -> list[Frame]:
        if n < self._disk.store.state.deleted_through:
            return []  # dropped meanwhile: a Gap will say so, and must not be wrong
        return self._recent.behind(n, _READ_BYTES)

    async def _read_disk(self, n: int) -> list[Frame]:
        try:
            return await self._run(self._disk.store.read, n, _READ_BYTES)
        except OSError as error:
            # Damaged on disk since it was written; what it held becomes Gaps, and reading goes on behind it.
            _LOG.error("spool.read_failed", after=n, error=str(error))
            await self._run(self._disk.store.give_up, n)
            return []

    async def _wait_for_frame(self, n: int) -> None:
        if self._intake and not self._is_live():
            self._hurry.set()
        async with self._changed:
            while self._recent.last_n <= n:
                self._check()
                self._caught_up_at = math.inf
                try:
                    await self._changed.wait()
                finally:
                    self._caught_up_at = asyncio.get_running_loop().time()

    def _is_live(self) -> bool:
        return asyncio.get_running_loop().time() - self._caught_up_at < _LIVE_SECONDS
