"""
A Plan as statements with their rows. Pure; lazily, so that packing and encoding happen where the statements are run.

Nothing here decides anything: rows go in as they are.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from aggregator.records import Head, Plan
from aggregator.store.bodies import Packer
from aggregator.store.sqlite.columns import SPAN_SEQS, change_rows, pack_record, uid_key
from kubescribe.wire.records import Occurrence

Step = tuple[str, Iterable[tuple[Any, ...]]]
"""A statement and the rows to run it with, each once."""

_encode = msgspec.json.Encoder().encode

WORD = "INSERT INTO words VALUES (?, ?)"
OBJECT = "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
HEAD = """INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (object) DO UPDATE SET node = excluded.node, seq = excluded.seq, epoch = excluded.epoch,
    resource_version = excluded.resource_version, gone = excluded.gone, depth = excluded.depth,
    observed_at = excluded.observed_at"""
CHANGE = "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
BODY = "INSERT INTO bodies VALUES (?, ?)"
_FIRST_OBSERVED = "UPDATE objects SET first_observed_at = ?2 WHERE id = ?1 AND first_observed_at > ?2"
_SUBJECT = "INSERT OR IGNORE INTO subjects (kind, namespace, name, uid) VALUES (?, ?, ?, ?)"
_OCCURRENCE = """INSERT INTO occurrences VALUES (?1, ?2, ?3, ?4,
    (SELECT id FROM subjects WHERE kind = ?5 AND namespace = ?6 AND name = ?7 AND uid = ?8),
    ?9, ?10, ?11, ?12, ?13, ?14)"""
_GAP = "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)"
_PRESENCE = "INSERT INTO presences VALUES (?, ?, ?, ?)"
SPAN = """INSERT INTO spans VALUES (?, ?, ?, ?, ?) ON CONFLICT (span) DO UPDATE SET
    first_observed_at = min(first_observed_at, excluded.first_observed_at),
    last_observed_at = max(last_observed_at, excluded.last_observed_at),
    first_committed_at = min(first_committed_at, excluded.first_committed_at),
    last_committed_at = max(last_committed_at, excluded.last_committed_at)"""
_STREAM = "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TERM = "INSERT OR REPLACE INTO terms VALUES (?, ?, ?)"
_SPOOL = "INSERT OR REPLACE INTO spools VALUES (?, ?)"
_FORGET_SPOOL = "DELETE FROM spools WHERE id = ?"
_OTHER_STAGED = """DELETE FROM staged WHERE stream = ?1
    AND NOT EXISTS (SELECT 1 FROM stages WHERE stream = ?1 AND id = ?2)"""
_OTHER_STAGE = "DELETE FROM stages WHERE stream = ? AND id <> ?"
_STAGE = "INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?)"
_STAGED = "INSERT OR IGNORE INTO staged VALUES (?, ?)"
_RETIRED = (
    "DELETE FROM streams WHERE name = ?",
    "DELETE FROM terms WHERE stream = ?",
    "DELETE FROM stages WHERE stream = ?",
    "DELETE FROM staged WHERE stream = ?",
)
_DOUBT = "INSERT OR REPLACE INTO doubts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SETTLED = "DELETE FROM doubts WHERE kind = ? AND uid = ?"
_COUNTER = """INSERT INTO counters VALUES (?, ?, ?)
    ON CONFLICT (family, labels) DO UPDATE SET value = value + excluded.value"""
_FORGET_COUNTER = "DELETE FROM counters WHERE family = ? AND labels = ?"
_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
EPOCH_SINCE = "epoch_since/"
"""How the names in `meta` begin under which the last sign of what was before an epoch stands."""
TOTALS = "UPDATE totals SET last_seq = max(last_seq, ?), last_object = max(last_object, ?), changes = changes + ?"


def steps_of(plan: Plan, words: dict[str, int], packer: Packer) -> Iterator[Step]:
    """Give what stores *plan*; *words* numbers every word of it."""
    pack = packer.pack
    yield OBJECT, object_rows(plan, words)
    yield CHANGE, change_rows(plan.changes, packer)
    yield BODY, ((row.seq, pack(row.body)) for row in plan.changes if row.body is not None)
    yield _FIRST_OBSERVED, list(_observed_before(plan))
    yield HEAD, (head_row(head, words) for head in plan.heads.values())
    if plan.occurrences:
        yield _SUBJECT, (_subject(row.occurrence, words) for row in plan.occurrences)
        yield _OCCURRENCE, _occurrences(plan, words, packer)
    yield _GAP, _gaps(plan, packer)
    yield _PRESENCE, _presences(plan, packer)
    yield from _small(plan)
    if plan.stages or plan.staged:
        yield from _stage(plan)
    if plan.doubts:
        yield from _doubts(plan)
    if plan.retired:
        yield from ((sql, [(name,) for name in plan.retired]) for sql in _RETIRED)
    seqs = [row.seq for row in plan.changes] + [row.seq for row in plan.occurrences]
    seqs += [row.seq for row in plan.gaps] + [row.seq for row in plan.presences]
    if seqs:
        yield SPAN, span_rows(plan)
        yield TOTALS, [(max(seqs), max(plan.heads, default=0), len(plan.changes))]


def _observed_before(plan: Plan) -> Iterator[tuple[int, int]]:
    """Give (object, observed at) of versions that may have been observed before any other of their objects."""
    heads = plan.heads
    for row in plan.changes:
        # A version that is not late can do that too: the clocks of two agents differ, and one may be set back.
        head = heads.get(row.object_id)
        if row.late or (head is not None and row.observed_at < head.observed_at):
            yield row.object_id, row.observed_at


def _small(plan: Plan) -> Iterator[Step]:
    """Give what there are few rows of: streams, terms, spools, counters, names."""
    yield (
        _STREAM,
        (
            (it.name, it.kind, it.resource_version, it.epoch, it.complete_at, it.holder, it.held_since, it.term)
            for it in plan.streams.values()
        ),
    )
    yield _TERM, [(stream, term, epoch) for (stream, term), epoch in plan.terms.items()]
    yield _FORGET_SPOOL, [(spool,) for spool in plan.forgotten_spools]
    yield _SPOOL, list(plan.spools.items())
    yield _FORGET_COUNTER, [(key.family, _encode(key.labels).decode()) for key in plan.forgotten_counters]
    yield _COUNTER, [(key.family, _encode(key.labels).decode(), value) for key, value in plan.counters.items()]
    given = (("epoch", plan.epoch), ("cluster_uid", plan.cluster_uid), ("cluster", plan.cluster))
    yield _META, [(name, value) for name, value in given if value is not None]
    yield _META, [(f"{EPOCH_SINCE}{epoch}", at) for epoch, at in plan.epochs_since.items()]


def _stage(plan: Plan) -> Iterator[Step]:
    begun = [stage for stage in plan.stages.values() if stage is not None]
    # A stage of the same id goes on and keeps its uids; any other one takes its place.
    keep = [(name, "" if stage is None else stage.id) for name, stage in plan.stages.items()]
    yield _OTHER_STAGED, keep
    yield _OTHER_STAGE, keep
    yield _STAGE, [(it.stream, it.id, it.resource_version, it.consistent) for it in begun]
    ended = {name for name, stage in plan.stages.items() if stage is None}
    yield _STAGED, [(name, uid) for name, part in plan.staged if name not in ended for uid in part]
    yield _STAGED, [(stage.stream, uid) for stage in begun for uid in stage.uids]


def _doubts(plan: Plan) -> Iterator[Step]:
    yield _SETTLED, list(plan.doubts)
    yield (
        _DOUBT,
        [
            (*it.key, it.namespace, it.name, it.resource_version, it.after, *it.settled_by, it.since)
            for it in plan.doubts.values()
            if it is not None
        ],
    )


def _occurrences(plan: Plan, words: dict[str, int], packer: Packer) -> Iterator[tuple[Any, ...]]:
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
            pack_record(it, packer),
        )


def _gaps(plan: Plan, packer: Packer) -> Iterator[tuple[Any, ...]]:
    for row in plan.gaps:
        gap = row.gap
        said = pack_record(gap, packer)
        yield (row.seq, gap.id, gap.start, gap.to, gap.outcome, row.committed_at, said)


def _presences(plan: Plan, packer: Packer) -> Iterator[tuple[Any, ...]]:
    for row in plan.presences:
        yield (row.seq, row.presence.agent, row.committed_at, pack_record(row.presence, packer))


def words_of(plan: Plan) -> set[str]:
    """Return every word of *plan* that is stored as a number."""
    said = {""}
    for head in plan.heads.values():
        said.update((head.key.kind, head.namespace, head.node))
    for row in plan.occurrences:
        it = row.occurrence
        said.update((it.regarding.kind, it.namespace or it.regarding.namespace, it.reason))
    return said


def object_rows(plan: Plan, words: dict[str, int]) -> list[tuple[Any, ...]]:
    """Return the rows of the objects that may be new: those that have a version without a base."""
    first = {row.object_id: row.observed_at for row in plan.changes if row.base is None and row.object_id in plan.heads}
    if first:
        for row in plan.changes:
            if row.object_id in first:
                first[row.object_id] = min(row.observed_at, first[row.object_id])
    heads = ((plan.heads[object_id], observed_at) for object_id, observed_at in first.items())
    return [
        (head.id, words[head.key.kind], words[head.namespace], head.name, uid_key(head.key.uid), observed_at)
        for head, observed_at in heads
    ]


def head_row(head: Head, words: dict[str, int]) -> tuple[Any, ...]:
    """Return the row of `heads`."""
    version = head.version
    return (
        head.id,
        words[head.key.kind],
        words[head.node],
        head.seq,
        version.epoch,
        version.resource_version,
        1 if version.gone else 0,
        head.depth,
        head.observed_at,
    )


def _subject(it: Occurrence, words: dict[str, int]) -> tuple[Any, ...]:
    about = it.regarding
    return (words[about.kind], words[it.namespace or about.namespace], about.name, uid_key(about.uid))


def span_rows(plan: Plan) -> list[tuple[int, int, int, int, int]]:
    """Return the rows of `spans` that this transaction makes or widens."""
    found: dict[int, tuple[int, int, int, int]] = {}

    def widen(seq: int, observed_at: int, committed_at: int) -> None:
        span = seq // SPAN_SEQS
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
