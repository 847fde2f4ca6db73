# ruff: noqa: S608 - the SQL is put together from our own words; what users say are parameters
"""
Where to look for records: runs of seqs that a time can lie in, objects that a filter can mean.

Records lie in the order of seq and are asked for in that order, so a read either walks seqs, or, when few objects are
meant, the histories of these. A time narrows the walk by `spans`; the rows themselves are compared as well.
"""

from collections.abc import Iterator
from typing import Any

from aggregator.records import ObjectQuery, RecordQuery
from aggregator.store.sqlite.columns import SPAN_SEQS, uid_key
from aggregator.store.sqlite.pool import Reading

FEW_OBJECTS = 4000
"""Up to so many objects their histories are read instead of everybody's: some 100,000 entries of one index."""

_BLOCK = 16 * SPAN_SEQS
"""Seqs in one statement; after each the clock is looked at. A read that finds nothing walks one in some 30 ms."""


def blocks(reading: Reading, query: RecordQuery) -> Iterator[tuple[int, int]]:
    """Give the runs (first seq, last seq), in the order of the query, in which its answers can lie."""
    (last_seq,) = reading.connection.execute("SELECT last_seq FROM totals WHERE id = 1").fetchone()
    lowest, highest = 1, last_seq
    if query.after is not None:
        if query.ascending:
            lowest = query.after + 1
        else:
            highest = min(highest, query.after - 1)
    runs = _runs_of_time(reading, query, lowest, highest) if _asks_time(query) else [(lowest, highest)]
    for first, last in runs if query.ascending else reversed(runs):
        yield from _cut(max(first, lowest), min(last, highest), ascending=query.ascending)


def _asks_time(query: RecordQuery) -> bool:
    return query.start is not None or query.to is not None


def _runs_of_time(reading: Reading, query: RecordQuery, lowest: int, highest: int) -> list[tuple[int, int]]:
    """Return the runs whose observed times touch the query's, neighbours joined, ascending."""
    rows = reading.connection.execute(
        """SELECT span FROM spans WHERE span BETWEEN ? AND ? AND last_observed_at > ? AND first_observed_at <= ?
            ORDER BY span""",
        (
            lowest // SPAN_SEQS,
            highest // SPAN_SEQS,
            -(2**63) if query.start is None else query.start,
            2**63 - 1 if query.to is None else query.to,
        ),
    )
    runs: list[tuple[int, int]] = []
    for (span,) in rows:
        first = span * SPAN_SEQS
        if runs and runs[-1][1] == first - 1:
            runs[-1] = (runs[-1][0], first + SPAN_SEQS - 1)
        else:
            runs.append((first, first + SPAN_SEQS - 1))
    return runs


def _cut(first: int, last: int, *, ascending: bool) -> Iterator[tuple[int, int]]:
    while first <= last:
        if ascending:
            yield first, min(last, first + _BLOCK - 1)
            first += _BLOCK
        else:
            yield max(first, last - _BLOCK + 1), last
            last -= _BLOCK


class Nothing(Exception):
    """A filter names something that the journal has never heard of, so the answer is empty."""


def where_object(reading: Reading, query: RecordQuery | ObjectQuery, table: str = "o") -> tuple[str, list[Any]]:
    """Return the condition that the filters make on objects or on subjects, "" without filters. Raises Nothing."""
    conditions: list[str] = []
    parameters: list[Any] = []
    uid = query.uid if isinstance(query, RecordQuery) else ""
    for column, value in (("uid", uid_key(uid) if uid else None), ("name", query.name or None)):
        if value is not None:
            conditions.append(f"{table}.{column} = ?")
            parameters.append(value)
    for column, words in (("namespace", query.namespace.split(",")), ("kind", [query.kind])):
        if words != [""]:
            numbers = [number for word in words if (number := reading.number(word)) is not None]
            if not numbers:
                raise Nothing
            conditions.append(f"{table}.{column} IN ({', '.join('?' * len(numbers))})")
            parameters += numbers
    return " AND ".join(conditions), parameters


def few(reading: Reading, table: str, where: str, parameters: list[Any]) -> list[int] | None:
    """Return the ids of the rows of *table* that *where* means, None when they are many or everything is meant."""
    if not where:
        return None
    sql = f"SELECT id FROM {table} WHERE {where} LIMIT {FEW_OBJECTS + 1}"
    ids = [number for (number,) in reading.connection.execute(sql, parameters)]
    return ids if len(ids) <= FEW_OBJECTS else None
