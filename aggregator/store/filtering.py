"""
What a query's filters mean, the same for every store. Pure.

A store may narrow by its indexes first; what these functions refuse is never answered.
"""

from typing import Any

import msgspec

from aggregator.records import ChangeRow, GapRow, Head, ObjectQuery, OccurrenceRow, RecordQuery, is_among

LINES = "logs/"
"""How the stream of a gap begins that is about lines of containers and about nothing else."""

_ACTOR = msgspec.json.Decoder(dict[str, Any])


def wants_change(query: RecordQuery, row: ChangeRow, head: Head) -> bool:
    """Tell whether the change belongs into the answer; `after` and `limit` are the caller's."""
    key = head.key
    return (
        _in_time(query, row.observed_at)
        and (not query.uid or query.uid == key.uid)
        and (not query.name or query.name == head.name)
        and (not query.kind or query.kind == key.kind)
        and (not query.namespace or is_among(head.namespace, query.namespace))
        and wants_author(query, row)
        and wants_text(query, row, head)
    )


def wants_author(query: RecordQuery, row: ChangeRow) -> bool:
    """Tell whether the change was written by the manager that is asked for."""
    if not query.manager:
        return True
    return row.actor is not None and bool(_ACTOR.decode(row.actor).get("manager") == query.manager)


def wants_text(query: RecordQuery, row: ChangeRow, head: Head) -> bool:
    """Tell whether the name, kind, actor or diff contains `q`, without case."""
    if not query.q:
        return True
    said = b"\n".join((row.actor or b"", row.patch or b"")).decode()
    return query.q.casefold() in f"{head.name}\n{head.key.kind}\n{said}".casefold()


def wants_occurrence(query: RecordQuery, row: OccurrenceRow) -> bool:
    """Tell whether the occurrence belongs into the answer; kind, name and uid are what it is about."""
    it = row.occurrence
    about = it.regarding
    if not (
        _in_time(query, it.observed_at)
        and (not query.uid or query.uid == about.uid)
        and (not query.name or query.name == about.name)
        and (not query.kind or query.kind == about.kind)
        and (not query.namespace or is_among(it.namespace or about.namespace, query.namespace))
        and (not query.reason or query.reason == it.reason)
        and (not query.manager or query.manager == it.reporter)
    ):
        return False
    return not query.q or query.q.casefold() in f"{about.name}\n{about.kind}\n{it.reason}\n{it.message}".casefold()


def wants_gap(query: RecordQuery, row: GapRow, *, open_or_lost_only: bool) -> bool:
    """Tell whether the gap touches the time that is asked for."""
    gap = row.gap
    return (
        not (open_or_lost_only and gap.outcome == "recovered")
        and not (query.without_lines and gap.stream.startswith(LINES))
        and (query.to is None or gap.start <= query.to)
        and (query.start is None or gap.to is None or gap.to >= query.start)
    )


def wants_object(query: ObjectQuery, head: Head) -> bool:
    """Tell whether the object belongs into the answer, whatever its state; `q` is searched in kind, name and node."""
    return (
        (not query.namespace or is_among(head.namespace, query.namespace))
        and (not query.kind or query.kind == head.key.kind)
        and (not query.name or query.name == head.name)
        and (not query.q or query.q.casefold() in f"{head.key.kind}\n{head.name}\n{head.node}".casefold())
    )


def _in_time(query: RecordQuery, observed_at: int) -> bool:
    return (query.start is None or observed_at > query.start) and (query.to is None or observed_at <= query.to)
