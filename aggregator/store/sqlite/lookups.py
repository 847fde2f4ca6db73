# ruff: noqa: S608 - the SQL is put together from our own words; what users say are parameters
"""The reads that ingest asks before it decides; the caller gives keys in runs short enough for one transaction."""

from collections.abc import Sequence
from typing import Any

from aggregator.records import Head, ObjectKey, Version
from aggregator.store.sqlite.columns import HEAD, head_of, uid_key, uid_text
from aggregator.store.sqlite.pool import Reading

_BY_KEY = f"""SELECT {HEAD}, o.namespace, o.name FROM objects AS o JOIN heads AS h ON h.object = o.id
    WHERE o.uid = ? AND o.kind = ?"""
_VERSION = "SELECT 1 FROM changes WHERE object = ? AND epoch = ? AND resource_version = ? AND gone = ?"
_BELOW = """SELECT seq FROM changes WHERE object = ?1
    AND (epoch, resource_version, gone) < (?2, ?3, ?4)
    ORDER BY epoch DESC, resource_version DESC, gone DESC LIMIT 1"""
_LIVING = f"""SELECT {HEAD}, o.namespace, o.name, o.uid FROM heads AS h CROSS JOIN objects AS o ON o.id = h.object
    WHERE h.gone = 0 AND h.kind = ?"""
_COUNT = """SELECT epoch, resource_version, count FROM occurrences WHERE uid = ?
    ORDER BY epoch DESC, resource_version DESC LIMIT 1"""
_STATE = "SELECT 1 FROM occurrences WHERE uid = ? AND epoch = ? AND resource_version = ?"


def heads(reading: Reading, keys: Sequence[ObjectKey]) -> dict[ObjectKey, Head]:
    """Return the heads of those of *keys* that the journal knows."""
    found: dict[ObjectKey, Head] = {}
    for key in keys:
        kind = reading.number(key.kind)
        row = None if kind is None else reading.connection.execute(_BY_KEY, (uid_key(key.uid), kind)).fetchone()
        if row is not None:
            found[key] = _head(reading, key, row)
    return found


def known(reading: Reading, versions: Sequence[tuple[int, Version]]) -> set[tuple[int, Version]]:
    """Return which of the (object id, version) are stored."""
    execute = reading.connection.execute
    return {it for it in versions if execute(_VERSION, (it[0], *it[1])).fetchone() is not None}


def below(reading: Reading, object_id: int, version: Version) -> int | None:
    """Return the seq of the object's highest version below *version*."""
    row = reading.connection.execute(_BELOW, (object_id, *version)).fetchone()
    return None if row is None else int(row[0])


def living(
    reading: Reading, kind: str, node: str | None, *, but: frozenset[str], after: int, limit: int
) -> tuple[list[Head], int | None]:
    """
    Look at up to *limit* objects of ids above *after*; return the heads that are not gone, but those of the uids *but*.

    With them the id after which to go on, None at the end.
    """
    number = reading.number(kind)
    if number is None:
        return [], None
    sql, parameters = _LIVING, [number]
    if node is not None:
        node_number = reading.number(node)
        if node_number is None:
            return [], None
        sql, parameters = f"{sql} AND h.node = ?", [number, node_number]
    rows = reading.connection.execute(f"{sql} AND h.object > ? ORDER BY h.object LIMIT ?", (*parameters, after, limit))
    found: list[Head] = []
    seen, last = 0, after
    # A list of a large cluster misses few of its objects: heads are made of those alone.
    for row in rows:
        seen, last, uid = seen + 1, int(row[0]), uid_text(row[-1])
        if uid not in but:
            found.append(_head(reading, ObjectKey(kind, uid), row))
    return found, last if seen == limit else None


def _head(reading: Reading, key: ObjectKey, row: tuple[Any, ...]) -> Head:
    return head_of(row[:8], key, reading.word(row[8]), row[9], reading.word(row[1]))


def occurrence_counts(reading: Reading, uids: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Return (epoch, resourceVersion, count) of the highest stored state of each Event."""
    rows = ((uid, reading.connection.execute(_COUNT, (uid_key(uid),)).fetchone()) for uid in uids)
    return {uid: row for uid, row in rows if row is not None}


def known_occurrences(reading: Reading, states: Sequence[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
    """Return which of the (uid, epoch, resourceVersion) are stored."""
    execute = reading.connection.execute
    return {it for it in states if execute(_STATE, (uid_key(it[0]), it[1], it[2])).fetchone() is not None}
