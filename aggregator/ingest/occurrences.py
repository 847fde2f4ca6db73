"""
Kubernetes Events in a transaction: each stored state once, with how many times it happened since the state before.

An Event's count is cumulative and its uid stays; a count that jumped means occurrences that no watch delivered one by
one (watching rules 26 and 34), so the difference to the stored count is what is new.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aggregator.census.families import OTHER
from aggregator.ingest.ledger import Draft
from aggregator.ingest.streams import Located, LocatedOccurrence
from aggregator.records import Facets, OccurrenceRow, Published
from aggregator.rendering import render_occurrence
from aggregator.store.base import Journal
from kubescribe.wire.records import Occurrence

_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
"""UpperCamelCase, as the API's conventions have it."""


@dataclass(slots=True)
class KnownOccurrences:
    """(epoch, resourceVersion, count) of each Event's highest state, and which older states are stored."""

    highest: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    states: set[tuple[str, int, int]] = field(default_factory=set)


async def prefetch_occurrences(journal: Journal, located: Sequence[Located]) -> KnownOccurrences:
    """Ask the journal for everything that `store_occurrence` may need."""
    items = [item for item in located if isinstance(item, LocatedOccurrence)]
    if not items:
        return KnownOccurrences()
    highest = await journal.occurrence_counts({item.occurrence.uid for item in items})
    older = {
        (item.occurrence.uid, item.epoch, item.occurrence.resource_version)
        for item in items
        if (item.epoch, item.occurrence.resource_version) < highest.get(item.occurrence.uid, (0, 0, 0))[:2]
    }
    return KnownOccurrences(highest, await journal.known_occurrences(older) if older else set())


def _labels(it: Occurrence) -> tuple[str, str]:
    """Return reason and type as labels: anybody may post an Event, and only words of the API's kind become series."""
    reason = it.reason if _REASON.fullmatch(it.reason) else OTHER
    return reason, it.event_type if it.event_type in {"Normal", "Warning", ""} else OTHER


def store_occurrence(draft: Draft, known: KnownOccurrences, item: LocatedOccurrence) -> None:
    """Decide the row of one Occurrence."""
    it, epoch = item.occurrence, item.epoch
    if not it.uid or not 0 < it.resource_version < 2**63 or it.count < 0:
        draft.tally["malformed"] += 1
        return
    state = (it.uid, epoch, it.resource_version)
    highest = known.highest.get(it.uid)
    if state in known.states or (highest is not None and highest[:2] == state[1:]):
        draft.tally["duplicate"] += 1
        return
    known.states.add(state)
    stored_count = highest[2] if highest is not None else 0
    added = 0 if it.gone else max(0, it.count - stored_count)
    if highest is None or state[1:] > highest[:2]:
        known.highest[it.uid] = (epoch, it.resource_version, max(it.count, stored_count))
    row = OccurrenceRow(seq=draft.next_seq(), epoch=epoch, added=added, committed_at=draft.committed_at, occurrence=it)
    draft.plan.occurrences.append(row)
    if added:
        draft.count("occurrences_total", it.namespace, *_labels(it), by=added)
    about = it.regarding
    facets = Facets(
        namespace=it.namespace or about.namespace,
        kind=about.kind,
        name=about.name,
        uid=about.uid,
        manager=it.reporter,
        observed_at=it.observed_at,
    )
    json = render_occurrence(row, draft.ledger.cluster)
    draft.published.append(
        Published(seq=row.seq, topic="occurrences", committed_at=row.committed_at, facets=facets, json=json)
    )
