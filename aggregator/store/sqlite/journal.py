"""
The journal in an SQLite file: one connection writes, a few threads read.

WAL, so that readers never wait for the writer; `synchronous=FULL`, so that what was acknowledged survives the power's
end. Ingest's own reads have a thread of their own: no query of a user stands before them.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiosqlite
import structlog

from aggregator.errors import BadQuery, StoreClosed, StoreUnusable
from aggregator.records import (
    Head,
    JournalState,
    ObjectKey,
    ObjectQuery,
    Page,
    Plan,
    RecordQuery,
    Stretch,
    Transition,
    Version,
)
from aggregator.store.base import Forgetting, Pruned
from aggregator.store.bodies import SHIPPED, Packer
from aggregator.store.sqlite import cursors, facts, lookups, objects, pruning, records
from aggregator.store.sqlite.pool import ReaderPool, Reading
from aggregator.store.sqlite.preparing import BUSY_MILLISECONDS, Prepared, prepare, release
from aggregator.store.sqlite.rebuilding import rebuild
from aggregator.store.sqlite.writing import TransactionConnection, Writer

_log = structlog.get_logger(__name__)
T = TypeVar("T")

_READERS = 3
"""Threads for the answers to people; each has 8 MiB of page cache. More would only contend for two cores."""

_KEYS = 500
"""Keys in one transaction of ingest's reads: some 20 ms."""

_HEADS = 20_000
"""Living objects in one transaction."""

_CHECKPOINT_PAGES = 4000
"""SQLite copies the WAL into the file after a commit that grows it over 16 MiB: seldom enough for an index page that
changes again and again to be copied once, often enough to keep that commit's wait at some tens of ms."""

_IDLE_SECONDS = 2.0
"""So long without a commit, and the WAL is copied although it is small."""

_WAL_BYTES = 64 * 2**20
"""Over this, readers have kept the WAL from starting again; the next commit waits for them (≤ 1 s, pool.py)."""

_CACHE_KIB = 8192
"""Pages that the writer keeps. It reads few of what it wrote, and the system keeps the rest of the file: four times as
many make no bench faster, and the memory would grow with the cluster."""

WRITER_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {_WAL_BYTES // 2}",
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    "PRAGMA temp_store = MEMORY",
)


class SqliteJournal:
    """A Journal (see store/base.py) in the file *path*; a *cluster_uid* must be that of the journal."""

    def __init__(self, path: Path, *, cluster_uid: str = "", idle_seconds: float = _IDLE_SECONDS) -> None:
        self._path = path
        self._cluster_uid = cluster_uid
        self._idle_seconds = idle_seconds
        self._prepared: Prepared | None = None
        self._connection: aiosqlite.Connection | None = None
        self._writer: Writer | None = None
        self._lookups: ReaderPool | None = None
        self._readers: ReaderPool | None = None
        self._writing = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._copying: asyncio.Task[None] | None = None

    async def open(self) -> JournalState:
        """Open or create it. Raises StoreUnusable."""
        prepared = self._prepared = await asyncio.to_thread(prepare, self._path, self._cluster_uid)
        try:
            self._connection = await aiosqlite.connect(self._path, isolation_level=None, factory=TransactionConnection)
            for pragma in WRITER_PRAGMAS:
                await self._connection.execute_fetchall(pragma)
        except sqlite3.Error as error:
            await self.close()
            raise StoreUnusable(f"the journal {self._path} cannot be opened: {error}") from error
        number = SHIPPED[-1]
        packer = Packer(number, prepared.dictionaries[number])
        self._writer = Writer(self._connection, packer, prepared.words, self._path)
        self._lookups = ReaderPool(self._path, prepared.dictionaries, threads=1, name="journal-lookups")
        self._readers = ReaderPool(self._path, prepared.dictionaries, threads=_READERS, name="journal-readers")
        return prepared.state

    async def close(self) -> None:
        """Finish the write under way and close; idempotent."""
        if self._idle is not None:
            self._idle.cancel()
        async with self._writing:
            self._writer = None
            if self._copying is not None:
                await self._copying
                self._copying = None
            for pool in (self._lookups, self._readers):
                if pool is not None:
                    await pool.close()
            if self._connection is not None:
                connection, self._connection = self._connection, None
                await connection.close()
            if self._prepared is not None:
                prepared, self._prepared = self._prepared, None
                release(prepared.lock)

    async def commit(self, plan: Plan) -> None:
        """Execute *plan* in one durable transaction. Raises StoreUnavailable, StoreError, StoreClosed."""
        async with self._writing:
            if self._writer is None:
                raise StoreClosed("the journal was closed")
            await self._writer.commit(plan)
            await self._after_write()

    async def prune(self, *, before: int, max_bytes: int, step: int, forgetting: Forgetting) -> Pruned:
        """Delete some of the oldest records. Raises StoreUnavailable, StoreClosed."""
        find = partial(pruning.find, before=before, max_bytes=max_bytes, step=step)
        doomed = await self._read(find)
        if doomed is None:
            horizon_seq, horizon_at = await self._read(facts.horizon)
            return Pruned(records=0, horizon_seq=horizon_seq, horizon_at=horizon_at, more=False, seconds=0.0)
        async with forgetting(doomed.dead.values()), self._writing:
            if self._writer is None:
                raise StoreClosed("the journal was closed")
            began = time.monotonic()
            await self._writer.run(pruning.steps_of(doomed))
            await self._after_write()
            seconds = time.monotonic() - began
        return Pruned(
            records=len(doomed.seqs()),
            horizon_seq=doomed.horizon_seq,
            horizon_at=doomed.horizon_at,
            more=doomed.more,
            seconds=seconds,
        )

    async def heads(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Head]:
        """Return the heads of those of *keys* that the journal knows."""
        found: dict[ObjectKey, Head] = {}
        for part in _parts(keys):
            found |= await self._look_up(partial(lookups.heads, keys=part))
        return found

    async def bodies(self, seqs: Collection[int]) -> dict[int, bytes]:
        """Return the whole object as of each change."""
        found: dict[int, bytes] = {}
        for part in _parts(seqs):
            found |= await self._look_up(partial(rebuild, seqs=part))
        return found

    async def known(self, versions: Collection[tuple[int, Version]]) -> set[tuple[int, Version]]:
        """Return which of the (object id, version) are stored."""
        found: set[tuple[int, Version]] = set()
        for part in _parts(versions):
            found |= await self._look_up(partial(lookups.known, versions=part))
        return found

    async def below(self, object_id: int, version: Version) -> int | None:
        """Return the seq of the object's highest version below *version*."""
        return await self._look_up(lambda reading: lookups.below(reading, object_id, version))

    async def living(self, kind: str, node: str | None, *, but: frozenset[str] = frozenset()) -> list[Head]:
        """Return the heads that are not gone of one kind, of one node, but for some."""
        found: list[Head] = []
        after: int | None = 0
        while after is not None:
            look = partial(lookups.living, kind=kind, node=node, but=but, after=after, limit=_HEADS)
            part, after = await self._look_up(look)
            found += part
        return found

    async def occurrence_counts(self, uids: Collection[str]) -> dict[str, tuple[int, int, int]]:
        """Return (epoch, resourceVersion, count) of the highest stored state of each Event."""
        found: dict[str, tuple[int, int, int]] = {}
        for part in _parts(uids):
            found |= await self._look_up(partial(lookups.occurrence_counts, uids=part))
        return found

    async def known_occurrences(self, states: Collection[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
        """Return which of the (uid, epoch, resourceVersion) are stored."""
        found: set[tuple[str, int, int]] = set()
        for part in _parts(states):
            found |= await self._look_up(partial(lookups.known_occurrences, states=part))
        return found

    async def cursor(self, name: str) -> int | None:
        """Return how far the reader *name* has come."""
        return await self._read(lambda reading: cursors.cursor(reading, name))

    async def move_cursor(self, name: str, seq: int) -> None:
        """Keep that the reader *name* has come to *seq*."""
        async with self._writing:
            if self._writer is None:
                raise StoreClosed("the journal was closed")
            await self._writer.run(cursors.steps_to_move(name, seq))

    async def transitions(self, seqs: Collection[int]) -> dict[int, Transition]:
        """Return the object before and after each change."""
        found: dict[int, Transition] = {}
        for part in _parts(seqs):
            found |= await self._read(partial(cursors.transitions, seqs=part))
        return found

    async def changes(self, query: RecordQuery) -> Page:
        """Return changes by seq."""
        return await self._page(records.changes, query)

    async def occurrences(self, query: RecordQuery) -> Page:
        """Return occurrences by seq."""
        return await self._page(records.occurrences, query)

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """Return the gaps that touch `start` … `to`."""

        def items(reading: Reading, query: RecordQuery) -> Iterator[records.Found | int]:
            return records.gaps(reading, query, open_or_lost_only=open_or_lost_only)

        return await self._page(items, query)

    async def objects(self, query: ObjectQuery) -> Page:
        """Return the cluster as it was at a moment."""
        return await self._read(partial(objects.objects, query=query))

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """Return one object with its body."""
        return await self._read(lambda reading: objects.one_object(reading, uid, at))

    async def history(self, uid: str, query: RecordQuery) -> Page | None:
        """Return all versions of one object."""
        return await self._read(partial(objects.history, uid=uid, query=query))

    async def replay(self, topic: str, query: RecordQuery) -> Stretch:
        """Return up to `limit` records above `after`; a walk that takes long ends early."""
        items = _TOPICS.get(topic)
        if items is None:
            raise BadQuery("topic", f"topic {topic[:64]!r} cannot be replayed; expected one of {', '.join(_TOPICS)}")
        upward = replace(query, after=query.after or 0, ascending=True)

        def read(reading: Reading) -> Stretch:
            rows, last = records.collect(reading, upward, items)
            return Stretch(rows=rows, last=last, horizon=facts.horizon(reading))

        return await self._read(read)

    async def seq_at(self, committed_at: int) -> int:
        """Return the highest seq committed before *committed_at*."""
        return await self._read(lambda reading: facts.seq_at(reading, committed_at))

    async def facts(self) -> dict[str, int]:
        """Return lastSeq, bytes, oldestCommittedAt, horizonSeq, changes, objects, living."""
        found = await self._read(facts.facts)
        return found | {"bytes": self._path.stat().st_size + self._wal_bytes()}

    async def _page(self, items: records.Items, query: RecordQuery) -> Page:
        def read(reading: Reading) -> Page:
            found, last = records.collect(reading, query, items)
            return Page(items=[item for _, item in found], last=last, horizon=facts.horizon(reading))

        return await self._read(read)

    async def _read(self, read: Callable[[Reading], T]) -> T:
        if self._readers is None:
            raise StoreClosed("the journal is not open")
        return await self._readers.read(read)

    async def _look_up(self, read: Callable[[Reading], T]) -> T:
        if self._lookups is None:
            raise StoreClosed("the journal is not open")
        return await self._lookups.read(read)

    async def _after_write(self) -> None:
        if self._wal_bytes() > _WAL_BYTES:
            await self._copy_wal("RESTART")
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._copy_when_idle)

    def _wal_bytes(self) -> int:
        try:
            return Path(f"{self._path}-wal").stat().st_size
        except OSError:
            return 0

    def _copy_when_idle(self) -> None:
        if self._writer is not None and (self._copying is None or self._copying.done()):
            # Kept in the attribute and awaited by close: nobody else waits for it.
            self._copying = asyncio.get_running_loop().create_task(self._copy_wal("PASSIVE"), name="journal-checkpoint")

    async def _copy_wal(self, how: str) -> None:
        if self._connection is None:
            return
        try:
            # Fetched, so that it has ended: aiosqlite keeps the cursor until its next call, and a pragma that may write
            # and is not at its end forbids every COMMIT ("SQL statements in progress").
            await self._connection.execute_fetchall(f"PRAGMA wal_checkpoint({how})")
        except sqlite3.Error as error:
            _log.warning("journal.checkpoint_failed", path=str(self._path), error=str(error))


def _parts(keys: Collection[T]) -> Iterator[Sequence[T]]:
    """Cut *keys* into runs that one read transaction can answer."""
    rest = list(keys)
    for start in range(0, len(rest), _KEYS):
        yield rest[start : start + _KEYS]


_TOPICS: dict[str, records.Items] = {
    "changes": records.changes,
    "occurrences": records.occurrences,
    "gaps": records.gap_rows,
    "presences": records.presences,
}
