"""
Lines of containers, counted by the agents that read them: added to the journal's counters, each record once.

Agents repeat: a record whose way into the spool a crash cut off is put there again, and a spool that is numbered anew
sends again what was committed. So a source's records carry numbers of their own, and the last one is kept like that of
a spool, in the transaction that counts it.
"""

from aggregator.ingest.ledger import Draft
from kubescribe.lines.levels import LEVELS
from kubescribe.wire.records import LineCount, LineCounts

LINES = "log_lines_total"
UNKNOWN = "unknown"
"""The level of a line that says none."""

_AWAITED = "error"
"""Told as 0 of each workload that writes lines, or `increase()` would miss the first."""

_MAX_COUNT = 2**40
"""Of one entry: more than a node can write between two records."""

_MAX_NAME = 253


def count_lines(draft: Draft, record: LineCounts) -> None:
    """Count what *record* tells, unless it was counted before."""
    spool = f"lines/{record.source}"
    if record.n <= draft.last_batch(spool):
        draft.tally["duplicate"] += 1
        return
    for it in record.counts:
        if not _is_possible(it):
            draft.tally["malformed"] += 1
            continue
        draft.begin(LINES, it.namespace, it.workload, _AWAITED)
        draft.count(LINES, it.namespace, it.workload, it.level if it.level in LEVELS else UNKNOWN, by=it.count)
    draft.took_batch(spool, record.n)


def _is_possible(it: LineCount) -> bool:
    return 0 < len(it.namespace) <= _MAX_NAME and 0 < len(it.workload) <= _MAX_NAME and 0 < it.count <= _MAX_COUNT
