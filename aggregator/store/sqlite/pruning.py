# ruff: noqa: S608 - the SQL is put together from our own words; what users say are parameters
"""
Retention: which rows a step deletes, found by a reader, and the statements that delete them.

The horizon is a seq that only rises. It moves over the records in short runs, and an object is looked at only when the
horizon passes a version of it: then its highest version so far is what stays, with its chain of bases down to a key
version, and everything below that goes. So no step looks again at what an earlier one left, however much that is.
The searching reads old, cold pages; it is done outside the transaction, and has brought them into memory before a
commit could have to wait for them.

The file does not shrink. Pages that become free are used by the next commits, so that a journal under retention keeps
its size; `auto_vacuum` would move pages in every step and keep a map of them in every commit, to give back space that
is needed again at once. Whoever wants it back stops the aggregator and runs VACUUM.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from aggregator.records import ObjectKey
from aggregator.store.sqlite.columns import SPAN_SEQS, uid_text
from aggregator.store.sqlite.facts import horizon
from aggregator.store.sqlite.pool import Reading
from aggregator.store.sqlite.statements import Step
from kubescribe.wire.records import Presence

_RUN = 16
"""Seqs by which the horizon moves at a time; after each the clock is looked at. With a cold disk: some 0.5 s."""

_END = 2**63 - 1
_PRESENCE = msgspec.json.Decoder(Presence)

_FIRST = """SELECT min(seq) FROM (SELECT min(seq) AS seq FROM changes WHERE seq > ?1
    UNION ALL SELECT min(seq) FROM occurrences WHERE seq > ?1
    UNION ALL SELECT min(seq) FROM gaps WHERE seq > ?1
    UNION ALL SELECT min(seq) FROM presences WHERE seq > ?1)"""
_LAST = """SELECT max(seq), at FROM (
    SELECT seq, observed_at + lag AS at FROM changes WHERE seq BETWEEN ?1 AND ?2
    UNION ALL SELECT seq, observed_at + lag FROM occurrences WHERE seq BETWEEN ?1 AND ?2
    UNION ALL SELECT seq, committed_at FROM gaps WHERE seq BETWEEN ?1 AND ?2
    UNION ALL SELECT seq, committed_at FROM presences WHERE seq BETWEEN ?1 AND ?2) WHERE at < ?3"""
# What is not late was the highest version when it was committed; so the last such row of a run is the highest by then.
_TOUCHED = """SELECT c.object, max(CASE WHEN c.late = 0 THEN c.seq END), h.gone = 1 AND h.seq <= ?2
    FROM changes AS c CROSS JOIN heads AS h ON h.object = c.object WHERE c.seq BETWEEN ?1 AND ?2 GROUP BY c.object"""
_HIGHEST = """SELECT seq FROM changes INDEXED BY changes_history WHERE object = ?1 AND +seq <= ?2
    ORDER BY epoch DESC, resource_version DESC, gone DESC LIMIT 1"""
_LATER = "SELECT 1 FROM changes INDEXED BY changes_history WHERE object = ?1 AND +seq > ?2 LIMIT 1"
_FOOT = """WITH RECURSIVE chain (seq, base) AS (
        SELECT seq, base FROM changes WHERE seq = ?1
        UNION ALL SELECT c.seq, c.base FROM chain CROSS JOIN changes AS c ON c.seq = chain.seq - chain.base
        WHERE NOT EXISTS (SELECT 1 FROM bodies WHERE seq = chain.seq))
    SELECT epoch, resource_version, gone FROM changes WHERE seq = (SELECT min(seq) FROM chain)"""
_BELOW = """SELECT seq FROM changes INDEXED BY changes_history WHERE object = ?1
    AND (epoch, resource_version, gone) < (?2, ?3, ?4) AND +seq <= ?5"""
_WHOLE = "SELECT seq FROM changes INDEXED BY changes_history WHERE object = ?"
_KEY = "SELECT kind, uid FROM objects WHERE id = ?"
_EVENTS = "SELECT seq, subject FROM occurrences WHERE seq BETWEEN ? AND ?"
_GAPS = """SELECT seq FROM gaps AS g WHERE id IN (SELECT id FROM gaps WHERE seq BETWEEN ?1 AND ?2) AND seq <= ?2
    AND (outcome <> 'open' OR EXISTS (SELECT 1 FROM gaps WHERE id = g.id AND seq > g.seq AND seq <= ?2))"""
_PRESENCES = """SELECT seq, said, EXISTS (SELECT 1 FROM presences WHERE agent = p.agent AND seq > p.seq AND seq <= ?2)
    FROM presences AS p WHERE agent IN (SELECT agent FROM presences WHERE seq BETWEEN ?1 AND ?2) AND seq <= ?2"""
_WARM = """SELECT (SELECT count(said) FROM changes WHERE seq IN (SELECT value FROM json_each(?1))),
    (SELECT count(body) FROM bodies WHERE seq IN (SELECT value FROM json_each(?1)))"""

# A dead object may have come back since it was looked at: its head decides, in the transaction.
_IS_GONE = "NOT EXISTS (SELECT 1 FROM heads WHERE object = ?1)"
_DELETE_HEAD = """DELETE FROM heads WHERE object = ?1 AND gone = 1 AND seq <= ?2 AND NOT EXISTS
    (SELECT 1 FROM changes INDEXED BY changes_history WHERE object = ?1 AND +seq > ?2)"""
_DELETE_DEAD = (
    f"DELETE FROM objects WHERE id = ?1 AND {_IS_GONE}",
    f"UPDATE totals SET changes = changes - (SELECT count(*) FROM changes WHERE object = ?1) WHERE {_IS_GONE}",
    f"DELETE FROM bodies WHERE seq IN (SELECT seq FROM changes WHERE object = ?1) AND {_IS_GONE}",
    f"DELETE FROM changes WHERE object = ?1 AND {_IS_GONE}",
)
_DELETE_SUBJECT = """DELETE FROM subjects WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM occurrences WHERE subject = ?1)"""
# The last one says when the journal was last written, for a clock that steps back.
_DELETE_SPAN = """DELETE FROM spans WHERE span = ?1 AND span < (SELECT max(span) FROM spans)
    AND NOT EXISTS (SELECT 1 FROM changes WHERE seq BETWEEN ?2 AND ?3)
    AND NOT EXISTS (SELECT 1 FROM occurrences WHERE seq BETWEEN ?2 AND ?3)
    AND NOT EXISTS (SELECT 1 FROM gaps WHERE seq BETWEEN ?2 AND ?3)
    AND NOT EXISTS (SELECT 1 FROM presences WHERE seq BETWEEN ?2 AND ?3)"""
_SUBTRACT = """UPDATE totals SET changes = changes - (SELECT count(*) FROM changes WHERE seq IN
    (SELECT value FROM json_each(?)))"""
_HORIZON = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)"


@dataclass(slots=True)
class Doomed:
    """What one step deletes: rows by seq, dead objects with all of theirs, and where the horizon then lies."""

    horizon_seq: int
    horizon_at: int
    changes: set[int] = field(default_factory=set)
    occurrences: list[int] = field(default_factory=list)
    subjects: set[int] = field(default_factory=set)
    gaps: list[int] = field(default_factory=list)
    presences: list[int] = field(default_factory=list)
    dead: dict[int, ObjectKey] = field(default_factory=dict)
    histories: list[int] = field(default_factory=list)
    more: bool = False

    def seqs(self) -> list[int]:
        """Return the seqs of all rows that go."""
        return [*self.changes, *self.histories, *self.occurrences, *self.gaps, *self.presences]


def find(reading: Reading, *, before: int, max_bytes: int, step: int) -> Doomed | None:
    """Return about *step* of the oldest rows that may go; None when nothing is due."""
    began, began_at = horizon(reading)
    doomed = Doomed(began, began_at)
    limit = _END if max_bytes and used_bytes(reading) > max_bytes else before
    while (run := _next_run(reading, doomed.horizon_seq, limit)) is not None:
        passed = doomed.horizon_seq - began
        if len(doomed.seqs()) >= step or passed >= 4 * step or reading.is_out_of_patience():
            doomed.more = True
            break
        first, last, committed_at = run
        if not _add_changes(reading, doomed, first, last, step):
            doomed.more = True
            break
        _add_others(reading, doomed, first, last)
        doomed.horizon_seq, doomed.horizon_at = last, committed_at
    if doomed.horizon_seq == began and not doomed.changes:
        return None
    reading.connection.execute(_WARM, (json.dumps([*doomed.changes, *doomed.histories]),)).fetchone()
    return doomed


def used_bytes(reading: Reading) -> int:
    """Return what those of the journal's pages take that are not free to be used again."""
    pages, free, page_bytes = (
        int(reading.connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_bytes


def steps_of(doomed: Doomed) -> Iterator[Step]:
    """Give what deletes *doomed*, as one transaction."""
    yield _DELETE_HEAD, [(object_id, doomed.horizon_seq) for object_id in doomed.dead]
    dead = [(object_id,) for object_id in doomed.dead]
    for statement in _DELETE_DEAD:
        yield statement, dead
    yield _SUBTRACT, [(json.dumps(list(doomed.changes)),)]
    tables = (
        ("bodies", doomed.changes),
        ("changes", doomed.changes),
        ("occurrences", doomed.occurrences),
        ("gaps", doomed.gaps),
        ("presences", doomed.presences),
    )
    for table, seqs in tables:
        yield f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in sorted(seqs)]
    yield _DELETE_SUBJECT, [(subject,) for subject in doomed.subjects]
    spans = {seq // SPAN_SEQS for seq in doomed.seqs()}
    yield _DELETE_SPAN, [(span, span * SPAN_SEQS, (span + 1) * SPAN_SEQS - 1) for span in spans]
    yield _HORIZON, [("horizon_seq", doomed.horizon_seq), ("horizon_at", doomed.horizon_at)]


def _next_run(reading: Reading, horizon_seq: int, limit: int) -> tuple[int, int, int] | None:
    """Return (first seq, last seq, its time) of the next rows that were committed before *limit*."""
    (first,) = reading.connection.execute(_FIRST, (horizon_seq,)).fetchone()
    if first is None:
        return None
    last, committed_at = reading.connection.execute(_LAST, (first, first + _RUN - 1, limit)).fetchone()
    return None if last is None else (first, last, committed_at)


def _add_changes(reading: Reading, doomed: Doomed, first: int, last: int, step: int) -> bool:
    """
    Add the changes that go when the horizon passes *first* … *last*; tell whether they are all of them.

    When one object has left very much (a replay of versions that were late), a part of that goes first, and the horizon
    stays where it is.
    """
    execute = reading.connection.execute
    changes: set[int] = set()
    dead: dict[int, list[int]] = {}
    for object_id, highest, is_gone in execute(_TOUCHED, (first, last)).fetchall():
        if is_gone and execute(_LATER, (object_id, last)).fetchone() is None:
            dead[object_id] = [seq for (seq,) in execute(_WHOLE, (object_id,))]
            if len(dead[object_id]) <= 4 * step:
                continue
        kept = execute(_HIGHEST, (object_id, last)).fetchone()[0] if highest is None else highest
        foot = execute(_FOOT, (kept,)).fetchone()
        below = [seq for (seq,) in execute(_BELOW, (object_id, *foot, last))]
        if len(below) > 4 * step and (old := [seq for seq in below if seq < first]):
            doomed.changes.update(old[:step])
            return False
        if object_id not in dead:
            changes.update(below)
    doomed.changes |= changes
    for object_id, seqs in dead.items():
        kind, uid = execute(_KEY, (object_id,)).fetchone()
        doomed.dead[object_id] = ObjectKey(reading.word(kind), uid_text(uid))
        doomed.histories += seqs
        # An earlier run of this step may have seen it alive.
        doomed.changes.difference_update(seqs)
    return True


def _add_others(reading: Reading, doomed: Doomed, first: int, last: int) -> None:
    execute = reading.connection.execute
    for seq, subject in execute(_EVENTS, (first, last)):
        doomed.occurrences.append(seq)
        doomed.subjects.add(subject)
    doomed.gaps += [seq for (seq,) in execute(_GAPS, (first, last)) if seq not in doomed.gaps]
    for seq, said, is_superseded in execute(_PRESENCES, (first, last)).fetchall():
        is_here = not is_superseded and _PRESENCE.decode(reading.unpacker.unpack(said)).state == "came"
        if not is_here and seq not in doomed.presences:
            doomed.presences.append(seq)
