"""
Absence: the deletes that a whole Snapshot proves (design section 2; client-go's Replace, watching rule 21).

Judged against the journal, not against anybody's memory, so that it holds across restarts of every part.
"""

from aggregator.ingest.doubts import doubt_absent
from aggregator.ingest.ledger import Draft
from aggregator.ingest.rows import Known, add_head
from aggregator.ingest.streams import Absence
from aggregator.records import ChangeRow, Head, Verb, Version
from kubescribe.wire.streams import selector_of


def store_absence(draft: Draft, known: Known, absence: Absence) -> None:
    """Infer the deletes that a whole Snapshot proves: alive for the journal, of the stream, not younger, not listed."""
    selector = selector_of(absence.stream)
    heads = {head.key: head for head in known.living[absence.stream]}
    for key in known.before:
        if key.kind == absence.kind:
            heads[key] = known.heads[key]
    limit = Version(absence.epoch, absence.resource_version, True)
    for key, stored in heads.items():
        head = known.heads.get(key, stored)
        is_judged = not head.version.gone and head.version <= limit and selector.matches(head.node)
        if not is_judged or key.uid in absence.uids:
            continue
        if selector.node == "":
            doubt_absent(draft, head, absence)  # it may have been bound meanwhile
        else:
            _infer_delete(draft, known, head, absence)


def _infer_delete(draft: Draft, known: Known, head: Head, absence: Absence) -> None:
    observed_at = max(absence.before, head.observed_at)
    new = Head(
        id=head.id,
        key=head.key,
        namespace=head.namespace,
        name=head.name,
        node=head.node,
        version=head.version._replace(gone=True),
        seq=draft.next_seq(),
        depth=head.depth + 1,
        observed_at=observed_at,
    )
    row = ChangeRow(
        seq=new.seq,
        object_id=new.id,
        version=new.version,
        verb=Verb.INFERRED_DELETED,
        observed_at=observed_at,
        committed_at=draft.committed_at,
        late=False,
        listed=True,
        generation=0,
        base=head.seq,
        patch=b"[]",
        body=None,
        actor=None,
        # Clocks step back; an interval does not.
        after=min(max(absence.after, head.observed_at), observed_at),
    )
    add_head(draft, known, row, new, body=known.bodies.get(head.seq))
