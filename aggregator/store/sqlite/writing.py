"""
Execute a Plan in one durable transaction, on the one connection that writes.

aiosqlite's thread runs the statements in the order in which they were asked for. The rows are made by generators, so
that packing and encoding happen in that thread and not in the event loop. Nothing here decides anything: rows go in as
they are. Only this file and journal.py know aiosqlite.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import aiosqlite
import msgspec

from aggregator.errors import StoreError, StoreUnavailable
from aggregator.records import Head, Plan
from aggregator.store.bodies import Packer
from aggregator.store.sqlite.columns import SPAN, change_columns, pack_record, uid_key

_encode = msgspec.json.Encoder().encode

_WORD = "INSERT INTO words VALUES (?, ?)"
_OBJECT = "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)"
_HEAD = """INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (object) DO UPDATE SET node = excluded.node, seq = excluded.seq, epoch = excluded.epoch,
    resource_version = excluded.resource_version, gone = excluded.gone, depth = excluded.depth,
    observed_at = excluded.observed_at"""
_CHANGE = "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BODY = "INSERT INTO bodies VALUES (?, ?)"
_FIRST_OBSERVED = "UPDATE objects SET first_observed_at = ?2 WHERE id = ?1 AND first_observed_at > ?2"
_SUBJECT = "INSERT OR IGNORE INTO subjects (kind, namespace, name, uid) VALUES (?, ?, ?, ?)"
_OCCURRENCE = """INSERT INTO occurrences VALUES (?1, ?2, ?3, ?4,
    (SELECT id FROM subjects WHERE kind = ?5 AND namespace = ?6 AND name = ?7 AND uid = ?8),
    ?9, ?10, ?11, ?12, ?13, ?14)"""
_GAP = "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)"
_PRESENCE = "INSERT INTO presences VALUES (?, ?, ?, ?)"
_SPAN = """INSERT INTO spans VALUES (?, ?, ?, ?, ?) ON CONFLICT (span) DO UPDATE SET
    first_observed_at = min(first_observed_at, excluded.first_observed_at),
    last_observed_at = max(last_observed_at, excluded.last_observed_at),
    first_committed_at = min(first_committed_at, excluded.first_committed_at),
    last_committed_at = max(last_committed_at, excluded.last_committed_at)"""
_STREAM = "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TERM = "INSERT OR REPLACE INTO terms VALUES (?, ?, ?)"
_SPOOL = "INSERT OR REPLACE INTO spools VALUES (?, ?)"
_COUNTER = """INSERT INTO counters VALUES (?, ?, ?)
    ON CONFLICT (family, labels) DO UPDATE SET value = value + excluded.value"""
_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_TOTALS = "UPDATE totals SET last_seq = max(last_seq, ?), last_object = max(last_object, ?), changes = changes + ?"


class Writer:
    """The write connection and what it remembers between transactions: the numbers of words, the last object id."""

    def __init__(
        self, connection: aiosqlite.Connection, packer: Packer, words: dict[str, int], last_object: int, path: str
    ) -> None:
        self._connection = connection
        self._packer = packer
        self._words = words
        self._last_word = max(words.values(), default=0)
        self._last_object = last_object
        self._path = path

    async def commit(self, plan: Plan) -> None:
        """
        Execute *plan*; whole and on disk when this returns.

        Raises StoreUnavailable when the disk does not serve, StoreError when the plan contradicts the journal; nothing
        of it was kept then. Cancelled, it rolls back behind what is under way; a commit that was under way may stand.
        """
        new_words: dict[str, int] = {}
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
            await self._execute(plan, new_words)
            await self._connection.commit()
        except BaseException as error:
            await self._roll_back()
            if isinstance(error, sqlite3.IntegrityError | OverflowError | sqlite3.InterfaceError | sqlite3.DataError):
                raise StoreError(f"a transaction contradicts the journal {self._path}: {error}") from error
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(f"the journal {self._path} cannot be written: {error}") from error
            raise
        self._words.update(new_words)
        self._last_word += len(new_words)
        self._last_object = max(self._last_object, *plan.heads, 0)

    async def _roll_back(self) -> None:
        # Asked for in the same breath as it fails, so that it precedes any other statement, cancelled again or not.
        # Most I/O errors have rolled back already; one that also fails the rollback is told by the next BEGIN.
        with contextlib.suppress(sqlite3.Error):
            await asyncio.shield(asyncio.ensure_future(self._connection.rollback()))

    async def _execute(self, plan: Plan, new_words: dict[str, int]) -> None:
        many = self._connection.executemany
        words = self._number_words(plan, new_words)
        if new_words:
            await many(_WORD, [(number, text) for text, number in new_words.items()])
        new = [head for head in plan.heads.values() if head.id > self._last_object]
        if new:
            await many(_OBJECT, _objects(plan, new, words))
        if plan.changes:
            await self._changes(plan)
        if plan.heads:
            await many(_HEAD, (_head(head, words) for head in plan.heads.values()))
        if plan.occurrences:
            await many(_SUBJECT, (_subject(row.occurrence, words) for row in plan.occurrences))
            await many(_OCCURRENCE, self._occurrences(plan, words))
        if plan.gaps:
            await many(_GAP, self._gaps(plan))
        if plan.presences:
            await many(_PRESENCE, self._presences(plan))
        await self._small(plan)
        seqs = _seqs(plan)
        if seqs:
            await many(_SPAN, _spans(plan))
            totals = (max(seqs), max(plan.heads, default=0), len(plan.changes))
            await self._connection.execute(_TOTALS, totals)

    async def _changes(self, plan: Plan) -> None:
        many = self._connection.executemany
        await many(_CHANGE, (change_columns(row, self._packer) for row in plan.changes))
        bodies = [(row.seq, row.body) for row in plan.changes if row.body is not None]
        if bodies:
            pack = self._packer.pack
            await many(_BODY, ((seq, pack(body)) for seq, body in bodies))
        late = [(row.object_id, row.observed_at) for row in plan.changes if row.late]
        if late:
            await many(_FIRST_OBSERVED, late)

    async def _small(self, plan: Plan) -> None:
        """Write what there are few rows of: streams, terms, spools, stages, counters, names."""
        many = self._connection.executemany
        if plan.streams:
            rows = (
                (it.name, it.kind, it.resource_version, it.epoch, it.complete_at, it.holder, it.held_since, it.term)
                for it in plan.streams.values()
            )
            await many(_STREAM, rows)
        if plan.terms:
            await many(_TERM, [(stream, term, epoch) for (stream, term), epoch in plan.terms.items()])
        if plan.spools:
            await many(_SPOOL, list(plan.spools.items()))
        if plan.stages or plan.staged:
            await self._stage(plan)
        if plan.counters:
            rows_of_counters = (
                (key.family, _encode(key.labels).decode(), value) for key, value in plan.counters.items()
            )
            await many(_COUNTER, rows_of_counters)
        given = (("epoch", plan.epoch), ("cluster_uid", plan.cluster_uid), ("cluster", plan.cluster))
        meta = [(name, value) for name, value in given if value is not None]
        if meta:
            await many(_META, meta)

    async def _stage(self, plan: Plan) -> None:
        many = self._connection.executemany
        begun = [stage for stage in plan.stages.values() if stage is not None]
        if plan.stages:
            # A stage of the same id goes on and keeps its uids; any other one takes its place.
            keep = [(name, "" if stage is None else stage.id) for name, stage in plan.stages.items()]
            await many(
                "DELETE FROM staged WHERE stream = ?1"
                " AND NOT EXISTS (SELECT 1 FROM stages WHERE stream = ?1 AND id = ?2)",
                keep,
            )
            await many("DELETE FROM stages WHERE stream = ? AND id <> ?", keep)
            await many(
                "INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?)",
                [(it.stream, it.id, it.resource_version, it.consistent) for it in begun],
            )
        ended = {name for name, stage in plan.stages.items() if stage is None}
        uids = [(name, uid) for name, part in plan.staged if name not in ended for uid in part]
        uids += [(stage.stream, uid) for stage in begun for uid in stage.uids]
        await many("INSERT OR IGNORE INTO staged VALUES (?, ?)", uids)

    def _number_words(self, plan: Plan, new_words: dict[str, int]) -> dict[str, int]:
        """Return a mapping that knows every word of *plan*; those that the journal lacks are put into *new_words*."""
        known = self._words
        said = {""}
        for head in plan.heads.values():
            said.update((head.key.kind, head.namespace, head.node))
        for row in plan.occurrences:
            it = row.occurrence
            said.update((it.regarding.kind, it.namespace or it.regarding.namespace, it.reason))
        missing = [word for word in said if word not in known]
        if not missing:
            return known
        new_words.update((word, self._last_word + place) for place, word in enumerate(sorted(missing), 1))
        return known | new_words

    def _occurrences(self, plan: Plan, words: dict[str, int]) -> Iterator[tuple[Any, ...]]:
        for row in plan.occurrences:
            it = row.occurrence
            yield (
                row.seq,
                uid_key(it.uid),
                row.epoch,
                it.resource_version,
                *_subject(it, words),
                words[it.reason],
                it.count,
                row.added,
                it.observed_at,
                row.committed_at - it.observed_at,
                pack_record(it, self._packer),
            )

    def _gaps(self, plan: Plan) -> Iterator[tuple[Any, ...]]:
        for row in plan.gaps:
            gap = row.gap
            said = pack_record(gap, self._packer)
            yield (row.seq, gap.id, gap.start, gap.to, gap.outcome, row.committed_at, said)

    def _presences(self, plan: Plan) -> Iterator[tuple[Any, ...]]:
        for row in plan.presences:
            yield (row.seq, row.presence.agent, row.committed_at, pack_record(row.presence, self._packer))


def _objects(plan: Plan, new: Iterable[Head], words: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    first: dict[int, int] = {}
    for row in plan.changes:
        first[row.object_id] = min(row.observed_at, first.get(row.object_id, row.observed_at))
    for head in new:
        yield (
            head.id,
            words[head.key.kind],
            words[head.namespace],
            head.name,
            uid_key(head.key.uid),
            first.get(head.id, head.observed_at),
        )


def _head(head: Head, words: dict[str, int]) -> tuple[Any, ...]:
    version = head.version
    return (
        head.id,
        words[head.key.kind],
        words[head.node],
        head.seq,
        version.epoch,
        version.resource_version,
        version.gone,
        head.depth,
        head.observed_at,
    )


def _subject(it: Any, words: dict[str, int]) -> tuple[Any, ...]:
    about = it.regarding
    return (words[about.kind], words[it.namespace or about.namespace], about.name, uid_key(about.uid))


def _seqs(plan: Plan) -> list[int]:
    rows = (plan.changes, plan.occurrences, plan.gaps, plan.presences)
    return [seq for table in rows for seq in (row.seq for row in table)]


def _spans(plan: Plan) -> list[tuple[int, int, int, int, int]]:
    """Return the rows of `spans` that this transaction makes or widens."""
    found: dict[int, tuple[int, int, int, int]] = {}

    def widen(seq: int, observed_at: int, committed_at: int) -> None:
        span = seq // SPAN
        it = found.get(span)
        if it is None:
            found[span] = (observed_at, observed_at, committed_at, committed_at)
        elif observed_at < it[0] or observed_at > it[1] or committed_at != it[3]:
            found[span] = (
                min(it[0], observed_at),
                max(it[1], observed_at),
                min(it[2], committed_at),
                max(it[3], committed_at),
            )

    for row in plan.changes:
        widen(row.seq, row.observed_at, row.committed_at)
    for occurrence in plan.occurrences:
        widen(occurrence.seq, occurrence.occurrence.observed_at, occurrence.committed_at)
    for gap in plan.gaps:
        widen(gap.seq, gap.committed_at, gap.committed_at)
    for presence in plan.presences:
        widen(presence.seq, presence.committed_at, presence.committed_at)
    return [(span, *times) for span, times in found.items()]
