"""
What is told of a fleet that did not catch up: which streams lag, what their agents report, what was logged last. Pure.

A run that fails once in ten is not run again to find out why.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

TOLD_STREAMS = 10
TOLD_WARNINGS = 8
_AGENT_FIELDS = ("connected", "since", "reportedAt", "lagSeconds", "spoolBytes", "spoolRecords", "oldestUnsentAt")


class StreamState(NamedTuple):
    """A row of the journal's streams."""

    name: str
    complete_at: int
    holder: str
    held_since: int


def lagging(rows: Iterable[StreamState], nodes: Iterable[str], at_ns: int) -> list[StreamState]:
    """Return the streams of *nodes* that are not complete up to *at_ns*, the oldest first; one without a row is 0."""
    known = {row.name: row for row in rows}
    wanted = (known.get(name, StreamState(name, 0, "", 0)) for name in map(stream_of, nodes))
    return sorted((row for row in wanted if row.complete_at < at_ns), key=lambda row: (row.complete_at, row.name))


def told(
    late: Sequence[StreamState], items: Iterable[Mapping[str, Any]], *, at_ns: int, now_ns: int, of: int
) -> list[str]:
    """Return a line for each of the *late* streams, of *of* in all, with its agent's item of /agents."""
    agents = {str(item["agent"]): item for item in items}
    lines = [f"{len(late)} of {of} streams have not caught up {(now_ns - at_ns) / 1e9:.1f} s after they were to"]
    for row in late[:TOLD_STREAMS]:
        item = agents.get(f"node/{row.name.partition('=')[2]}")
        behind = f"complete {(now_ns - row.complete_at) / 1e9:.1f} s ago" if row.complete_at else "never complete"
        held = f"held by {row.holder} since term {row.held_since}" if row.holder else "held by nobody"
        lines.append(f"  {row.name}: {behind}, {held}; its agent: {_agent(item)}")
    if len(late) > TOLD_STREAMS:
        lines.append(f"  … and {len(late) - TOLD_STREAMS} more")
    return lines


def _agent(item: Mapping[str, Any] | None) -> str:
    if item is None:
        return "not in /agents"
    streams = [{key: each.get(key) for key in ("name", "state", "seenAt", "detail")} for each in item["streams"]]
    return json.dumps({**{key: item.get(key) for key in _AGENT_FIELDS}, "streams": streams})


def last_warnings(name: str, lines: Sequence[str]) -> list[str]:
    """Return the last of *lines*, a daemon's warnings, under its *name*."""
    if not lines:
        return [f"  {name}: no warnings"]
    cut = lines[-TOLD_WARNINGS:]
    return [f"  {name}: the last {len(cut)} of {len(lines)} warnings", *(f"    {line}" for line in cut)]


def stream_of(node: str) -> str:
    """Return the name of the stream of a node's pods."""
    return f"pods/node={node}"
