# ruff: noqa: S608 - the SQL is put together from our own words; what users say are parameters
"""Read records in the order of seq: changes, occurrences, gaps, presences."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from aggregator.records import ChangeRow, GapRow, Head, ObjectKey, PresenceRow, RecordQuery
from aggregator.rendering import render_gap, render_occurrence, render_presence
from aggregator.store.bodies import Unpacker
from aggregator.store.filtering import wants_author, wants_gap, wants_occurrence, wants_text
from aggregator.store.sqlite.columns import CHANGE, OBJECT, change_of, occurrence_of, uid_text
from aggregator.store.sqlite.pool import Reading
from aggregator.store.sqlite.searching import Nothing, blocks, few, where_object
from aggregator.store.views import change_item
from kubescribe.wire.records import Gap, Presence

_GAP = msgspec.json.Decoder(Gap)
_PRESENCE = msgspec.json.Decoder(Presence)

Found = tuple[int, bytes]
"""A seq and its finished JSON."""

Items = Callable[[Reading, RecordQuery], Iterator[Found | int]]
"""What gives the records of one kind, and, as a bare seq, how far it has come."""

_ROWS_BETWEEN_SIGNS = 256
"""Rows that a walk may look at before it tells how far it has come."""

_SEQS = 256
"""Rows of chosen objects that one statement fetches."""


@dataclass(slots=True, kw_only=True, frozen=True)
class _Source:
    """A table to walk: `select … WHERE seq BETWEEN` and `where`; `ids` and `history` when few objects are meant."""

    select: str
    seq: str
    where: str
    parameters: list[Any]
    ids: list[int] | None
    history: str
    finish: Callable[[tuple[Any, ...]], bytes | None]


def collect(reading: Reading, query: RecordQuery, items: Items) -> tuple[list[Found], int | None]:
    """
    Return up to `limit` records, and the seq from which to go on, None at the end.

    *items* gives what it finds and, as a bare seq, how far it has come. A walk that takes long ends early with what it
    has, so a short answer is the last one only when there is no seq to go on from.
    """
    found: list[Found] = []
    for it in items(reading, query):
        if isinstance(it, int):
            if reading.is_out_of_patience():
                return found, it
        elif len(found) == query.limit:
            return found, found[-1][0]
        else:
            found.append(it)
    return found, None


def changes(reading: Reading, query: RecordQuery) -> Iterator[Found | int]:
    """Give the changes that *query* means."""
    cluster, unpacker = reading.meta("cluster"), reading.unpacker
    try:
        where, parameters = where_object(reading, query)
    except Nothing:
        return

    def finish(columns: tuple[Any, ...]) -> bytes | None:
        row, head = change_and_head(reading, columns, unpacker)
        return change_item(row, head, cluster) if wants_author(query, row) and wants_text(query, row, head) else None

    source = _Source(
        select=f"SELECT {CHANGE}, {OBJECT} FROM changes AS c CROSS JOIN objects AS o ON o.id = c.object",
        seq="c.seq",
        where=where,
        parameters=parameters,
        ids=few(reading, "objects AS o", where, parameters),
        history="SELECT seq FROM changes WHERE object IN (SELECT value FROM json_each(?))",
        finish=finish,
    )
    yield from _walk(reading, query, source, "c")


def occurrences(reading: Reading, query: RecordQuery) -> Iterator[Found | int]:
    """Give the occurrences that *query* means."""
    cluster, unpacker = reading.meta("cluster"), reading.unpacker
    try:
        where, parameters = where_object(reading, query, "s")
    except Nothing:
        return
    ids = few(reading, "subjects AS s", where, parameters)
    if query.reason:
        number = reading.number(query.reason)
        if number is None:
            return
        where = f"{where} AND o.reason = ?" if where else "o.reason = ?"
        parameters = [*parameters, number]

    def finish(columns: tuple[Any, ...]) -> bytes | None:
        row = occurrence_of(columns, unpacker)
        return render_occurrence(row, cluster) if wants_occurrence(query, row) else None

    source = _Source(
        select="SELECT o.seq, o.epoch, o.added, o.observed_at, o.lag, o.said FROM occurrences AS o"
        " CROSS JOIN subjects AS s ON s.id = o.subject",
        seq="o.seq",
        where=where,
        parameters=parameters,
        ids=ids,
        history="SELECT seq FROM occurrences WHERE subject IN (SELECT value FROM json_each(?))",
        finish=finish,
    )
    yield from _walk(reading, query, source, "o")


def gaps(reading: Reading, query: RecordQuery, *, open_or_lost_only: bool = False) -> Iterator[Found | int]:
    """Give the latest row of each gap that touches the time of *query*."""
    cluster = reading.meta("cluster")
    rows = reading.connection.execute(
        f"""SELECT seq, committed_at, said FROM gaps AS g
            WHERE seq > ? AND seq < ? AND NOT EXISTS (SELECT 1 FROM gaps WHERE id = g.id AND seq > g.seq)
            ORDER BY seq {_direction(query)}""",
        _bounds(query),
    )
    for seq, committed_at, said in rows:
        row = GapRow(seq=seq, committed_at=committed_at, gap=_GAP.decode(reading.unpacker.unpack(said)))
        if wants_gap(query, row, open_or_lost_only=open_or_lost_only):
            yield seq, render_gap(row, cluster)
        else:
            yield seq


def gap_rows(reading: Reading, query: RecordQuery) -> Iterator[Found | int]:
    """Give every row of gaps, as they were committed: what a feed replays."""
    cluster = reading.meta("cluster")
    sql = f"SELECT seq, committed_at, said FROM gaps WHERE seq > ? AND seq < ? ORDER BY seq {_direction(query)}"
    for seq, committed_at, said in reading.connection.execute(sql, _bounds(query)):
        row = GapRow(seq=seq, committed_at=committed_at, gap=_GAP.decode(reading.unpacker.unpack(said)))
        yield (seq, render_gap(row, cluster)) if wants_gap(query, row, open_or_lost_only=False) else seq


def presences(reading: Reading, query: RecordQuery) -> Iterator[Found | int]:
    """Give the comings and goings of agents."""
    cluster = reading.meta("cluster")
    sql = f"SELECT seq, committed_at, said FROM presences WHERE seq > ? AND seq < ? ORDER BY seq {_direction(query)}"
    for seq, committed_at, said in reading.connection.execute(sql, _bounds(query)):
        presence = _PRESENCE.decode(reading.unpacker.unpack(said))
        yield seq, render_presence(PresenceRow(seq=seq, committed_at=committed_at, presence=presence), cluster)


def change_and_head(reading: Reading, columns: tuple[Any, ...], unpacker: Unpacker) -> tuple[ChangeRow, Head]:
    """Return the row of CHANGE and OBJECT, and the head that the object had with it (without node and depth)."""
    kind, namespace, name, uid = columns[14:]
    row = change_of(columns[:14], unpacker)
    head = Head(
        id=row.object_id,
        key=ObjectKey(reading.word(kind), uid_text(uid)),
        namespace=reading.word(namespace),
        name=name,
        node="",
        version=row.version,
        seq=row.seq,
        depth=0,
        observed_at=row.observed_at,
    )
    return row, head


def _walk(reading: Reading, query: RecordQuery, source: _Source, table: str) -> Iterator[Found | int]:
    if source.ids is not None:
        yield from _walk_histories(reading, query, source, table)
        return
    conditions, parameters = _time_of(query, table)
    where = " AND ".join([f"{source.seq} BETWEEN ? AND ?", *conditions, *([source.where] if source.where else [])])
    sql = f"{source.select} WHERE {where} ORDER BY {source.seq} {_direction(query)}"
    for first, last in blocks(reading, query):
        rows = reading.connection.execute(sql, (first, last, *parameters, *source.parameters))
        yield from _finished(rows, source)
        yield last if query.ascending else first


def _walk_histories(reading: Reading, query: RecordQuery, source: _Source, table: str) -> Iterator[Found | int]:
    runs = list(blocks(reading, query))
    if not runs or not source.ids:
        return
    bounds = (min(first for first, _ in runs), max(last for _, last in runs))
    sql = f"{source.history} AND seq BETWEEN ? AND ?"
    seqs = [seq for (seq,) in reading.connection.execute(sql, (json.dumps(source.ids), *bounds))]
    seqs.sort(reverse=not query.ascending)
    conditions, parameters = _time_of(query, table)
    where = " AND ".join([f"{source.seq} IN (SELECT value FROM json_each(?))", *conditions])
    if "reason" in source.where:
        where += " AND o.reason = ?"
        parameters.append(source.parameters[-1])
    sql = f"{source.select} WHERE {where} ORDER BY {source.seq} {_direction(query)}"
    for start in range(0, len(seqs), _SEQS):
        part = seqs[start : start + _SEQS]
        yield from _finished(reading.connection.execute(sql, (json.dumps(part), *parameters)), source)
        yield part[-1]


def _finished(rows: Iterator[tuple[Any, ...]], source: _Source) -> Iterator[Found | int]:
    since = 0
    for columns in rows:
        item = source.finish(columns)
        if item is not None:
            yield columns[0], item
        else:
            since += 1
            if since == _ROWS_BETWEEN_SIGNS:
                since = 0
                yield columns[0]


def _time_of(query: RecordQuery, table: str) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    if query.start is not None:
        conditions.append(f"{table}.observed_at > ?")
        parameters.append(query.start)
    if query.to is not None:
        conditions.append(f"{table}.observed_at <= ?")
        parameters.append(query.to)
    return conditions, parameters


def _direction(query: RecordQuery) -> str:
    return "ASC" if query.ascending else "DESC"


def _bounds(query: RecordQuery) -> tuple[int, int]:
    if query.after is None:
        return 0, 2**63 - 1
    return (query.after, 2**63 - 1) if query.ascending else (0, query.after)
