"""
Doubt: an object left the watch of what has no node, or its list did not hold it, and may be anywhere.

Design section 2, watching rule 23. A pod that is bound leaves that watch with the same word, DELETED, as one that is
deleted. Which it was is told by its node's agent, in the next moment as a rule; until then the object is alive and in
doubt. What is still in doubt after a few seconds is asked for (settling.py): only a 404, or another uid, is a delete.
"""

from aggregator.ingest.ledger import Draft
from aggregator.ingest.rows import Known
from aggregator.ingest.streams import Absence, LocatedDeparture
from aggregator.records import DoubtRow, Head, ObjectKey, Version
from kubescribe.wire.records import Change


def doubt_departed(draft: Draft, known: Known, item: LocatedDeparture) -> None:
    """Doubt what left a watch, unless somebody has reported it at that version or above."""
    departed = item.departed
    key = ObjectKey(departed.kind, departed.uid)
    head = known.heads.get(key)
    # The bind is one write: the node's ADDED carries the version with which the pod left here.
    settled_by = Version(item.epoch, departed.resource_version, False)
    if head is None or head.version.gone or head.version >= settled_by:
        draft.tally["departure_settled"] += 1
        return
    draft.tally["departure_doubted"] += 1
    _add(draft, head, resource_version=departed.resource_version, after=0, settled_by=settled_by)


def doubt_absent(draft: Draft, head: Head, absence: Absence) -> None:
    """Doubt what a whole Snapshot of a stream without node did not hold; a doubt from before stays what it is."""
    if draft.doubt(head.key) is None:
        after = min(max(absence.after, head.observed_at), absence.before)
        _add(
            draft,
            head,
            resource_version=head.version.resource_version,
            after=max(after, 1),
            settled_by=head.version._replace(gone=True),
        )


def settle(draft: Draft, known: Known) -> None:
    """Settle the doubts about objects that the transaction moved far enough, or that are gone, whoever told so."""
    if not draft.ledger.doubts and not draft.plan.doubts:
        return
    for key in known.before:
        version = known.heads[key].version
        doubt = draft.doubt(key)
        if doubt is not None and (version.gone or version >= doubt.settled_by):
            draft.plan.doubts[key] = None


def settle_unmoved(draft: Draft, key: ObjectKey, version: Version) -> None:
    """Settle a doubt by a version that is no news: it moves no head, and tells all the same that the object lives."""
    doubt = draft.doubt(key)
    if doubt is not None and version >= doubt.settled_by:
        draft.plan.doubts[key] = None


def settle_seen(draft: Draft, key: ObjectKey, change: Change) -> None:
    """Settle a doubt by an object that was asked for and is as the journal has it: a list may have missed it."""
    doubt = draft.doubt(key)
    if doubt is not None and doubt.after and change.listed and not change.gone and change.observed_at > doubt.since:
        draft.plan.doubts[key] = None


def _add(draft: Draft, head: Head, *, resource_version: int, after: int, settled_by: Version) -> None:
    before = draft.doubt(head.key)
    draft.plan.doubts[head.key] = DoubtRow(
        key=head.key,
        namespace=head.namespace,
        name=head.name,
        resource_version=resource_version,
        after=after,
        settled_by=settled_by,
        since=draft.committed_at if before is None else before.since,
    )
