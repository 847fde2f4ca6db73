"""
Rows of the journal in the making, shared by what decides them: versions.py and absence.py.

`Known` is what the journal answered for one transaction, and grows with what the transaction itself adds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from aggregator.ingest.ledger import Draft
from aggregator.ingest.states import follow_state
from aggregator.records import ChangeRow, Facets, Head, ObjectKey, Published, Verb, Version
from aggregator.rendering import render_change
from aggregator.store.patches import render
from kubescribe.wire.records import Actor
from kubescribe.wire.times import to_rfc3339

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Known:
    """What the journal answered for one transaction, and what the transaction itself adds to it."""

    heads: dict[ObjectKey, Head] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    versions: set[tuple[int, Version]] = field(default_factory=set)
    below: dict[tuple[int, Version], int] = field(default_factory=dict)
    living: dict[str, list[Head]] = field(default_factory=dict)
    before: dict[ObjectKey, Head | None] = field(default_factory=dict)
    added: dict[int, list[tuple[Version, int]]] = field(default_factory=dict)

    def note(self, row: ChangeRow) -> None:
        """Take *row* for stored: what comes after it in the transaction may repeat it or lie above it."""
        self.versions.add((row.object_id, row.version))
        self.added.setdefault(row.object_id, []).append((row.version, row.seq))

    def moved(self) -> Iterable[tuple[Head, Head | None]]:
        """Return (head now, head before the transaction) of every object that the transaction touched."""
        return ((self.heads[key], before) for key, before in self.before.items())


@lru_cache(maxsize=1024)
def encode_actor(actor: Actor | None) -> bytes | None:
    """Return *actor* as it is stored and served: JSON with its time as RFC 3339. Few managers write, in few seconds."""
    if actor is None:
        return None
    fields = msgspec.to_builtins(actor)
    if actor.time is not None:
        fields["time"] = to_rfc3339(actor.time)
    return _ENCODER.encode(fields)


def add_head(
    draft: Draft, known: Known, row: ChangeRow, head: Head, *, actor: Actor | None = None, body: bytes | None = None
) -> None:
    """Add *row*, which makes *head* the object's highest version; *body* is the object as of it."""
    add_row(draft, row, head, actor)
    before = known.heads.get(head.key)
    old_body = known.bodies.get(before.seq) if before is not None else None
    known.before.setdefault(head.key, before)
    known.heads[head.key] = head
    known.note(row)
    if body is not None:
        known.bodies[head.seq] = body
    draft.plan.heads[head.id] = head
    follow_state(draft, row, head, body, before=before, old_body=old_body)


def add_row(draft: Draft, row: ChangeRow, head: Head, actor: Actor | None) -> None:
    """Add *row* to the plan and to what will be published; *head* tells whose it is and is not moved."""
    facets = Facets(
        namespace=head.namespace,
        kind=head.key.kind,
        name=head.name,
        uid=head.key.uid,
        manager=actor.manager if actor else "",
        observed_at=row.observed_at,
    )
    json = render_change(row, head, draft.ledger.cluster, None if row.patch is None else render(row.patch))
    draft.published.append(
        Published(seq=row.seq, topic="changes", committed_at=row.committed_at, facets=facets, json=json)
    )
    draft.plan.changes.append(row)
    if row.verb is Verb.ADDED:
        for verb in Verb:
            draft.begin("changes_total", head.key.kind, verb.text)
    draft.count("changes_total", head.key.kind, row.verb.text)
