"""
Gaps in a transaction: from agents, and ingest's own.

A gap's rows share its id; the last row is what is known of it. What repeats nothing new is dropped.
"""

from aggregator.census.families import BLIND
from aggregator.ingest.ledger import Draft
from aggregator.ingest.peers import LINES
from aggregator.records import Facets, GapRow, Published
from aggregator.rendering import render_gap
from kubescribe.wire.records import Gap


def add_gap(draft: Draft, gap: Gap) -> None:
    """Add *gap*, or what is now known of it, to the transaction; the first sight of an id is counted."""
    known = draft.open_gap(gap.id)
    if known == gap:
        return
    if known is None:
        draft.count("gaps_total", gap.cause)
    is_blind = not gap.stream.startswith(LINES)  # of lines that were lost no watch was blind
    if is_blind and gap.outcome != "open" and gap.to is not None and gap.to > gap.start:
        draft.count(BLIND, gap.stream, by=(gap.to - gap.start) // 10**6)
    row = GapRow(seq=draft.next_seq(), committed_at=draft.committed_at, gap=gap)
    draft.plan.gaps.append(row)
    draft.published.append(
        Published(
            seq=row.seq,
            topic="gaps",
            committed_at=row.committed_at,
            facets=Facets(observed_at=gap.start),
            json=render_gap(row, draft.ledger.cluster),
        )
    )
