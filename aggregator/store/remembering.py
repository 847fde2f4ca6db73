"""
What retention must leave behind of the time before the horizon. Pure, and in the plainest way: by looking at all rows.

It is the rule; the SQLite store follows it by its indexes (sqlite/pruning.py), and a test holds the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.records import ChangeRow, GapRow, Head, OccurrenceRow, PresenceRow

Row = ChangeRow | OccurrenceRow | GapRow | PresenceRow


@dataclass(slots=True, kw_only=True, frozen=True)
class Rows:
    """What the rule looks at: heads by object id, rows by seq."""

    heads: Mapping[int, Head]
    changes: Mapping[int, ChangeRow]
    gaps: Mapping[int, GapRow]
    presences: Mapping[int, PresenceRow]


def is_dead(rows: Rows, head: Head, horizon: int) -> bool:
    """Tell whether the object is gone and the journal holds nothing of it above *horizon*."""
    return head.version.gone and all(row.seq <= horizon for row in rows.changes.values() if row.object_id == head.id)


def is_remembered(rows: Rows, row: Row, horizon: int) -> bool:
    """Tell whether *row*, at or below *horizon*, must stay."""
    if isinstance(row, ChangeRow):
        return (
            not is_dead(rows, rows.heads[row.object_id], horizon) and row.version >= _foot(rows, row, horizon).version
        )
    if isinstance(row, GapRow):
        latest = max(it.seq for it in rows.gaps.values() if it.gap.id == row.gap.id and it.seq <= horizon)
        return row.seq == latest and row.gap.outcome == "open"
    if isinstance(row, PresenceRow):
        agent = row.presence.agent
        latest = max(it.seq for it in rows.presences.values() if it.presence.agent == agent and it.seq <= horizon)
        return row.seq == latest and row.presence.state == "came"
    return False


def _foot(rows: Rows, row: ChangeRow, horizon: int) -> ChangeRow:
    """Return the key version that rebuilds the object's highest version at or below *horizon*."""
    known = [it for it in rows.changes.values() if it.object_id == row.object_id and it.seq <= horizon]
    at = max(known, key=lambda it: it.version)
    while at.body is None and at.base is not None:
        at = rows.changes[at.base]
    return at
