"""Rows to the JSON of a state: an object as it was at a moment. Pure, and the same for every store."""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from aggregator.records import ChangeRow, Head, Verb
from aggregator.rendering import render_change
from aggregator.store.patches import render
from kubescribe.wire.times import to_rfc3339

_encode = msgspec.json.Encoder().encode
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


@dataclass(slots=True, kw_only=True, frozen=True)
class ObjectState:
    """
    An object at a moment: `head` is its highest version then.

    `uncertain`: the moment lies inside the interval of an inferred delete, so it may have been gone already.
    """

    head: Head
    uncertain: bool = False


@dataclass(slots=True, kw_only=True, frozen=True)
class Detail:
    """What only the view of one object says: its row and when it was first seen."""

    row: ChangeRow
    first_seen_at: int


def change_item(row: ChangeRow, head: Head, cluster: str) -> bytes:
    """Return a stored change as the JSON that was published when it was committed."""
    return render_change(row, head, cluster, None if row.patch is None else render(row.patch))


def object_item(
    state: ObjectState, *, generation: int = 0, body: bytes | None = None, detail: Detail | None = None
) -> bytes:
    """Return the JSON of an object's state; with *body* also the object as the API served it, managedFields aside."""
    head = state.head
    item: dict[str, object] = {
        "kind": head.key.kind,
        "namespace": head.namespace or None,
        "name": head.name,
        "uid": head.key.uid,
        "node": head.node or None,
        "resourceVersion": str(head.version.resource_version),
        "epoch": head.version.epoch,
        "seq": head.seq,
        "gone": head.version.gone,
        "uncertain": state.uncertain,
        "observedAt": to_rfc3339(head.observed_at),
    }
    if detail is not None:
        row = detail.row
        item["verb"] = row.verb.text
        item["firstSeenAt"] = to_rfc3339(detail.first_seen_at)
        if row.verb is Verb.INFERRED_DELETED:
            after = None if row.after is None else to_rfc3339(row.after)
            item["interval"] = {"after": after, "before": to_rfc3339(row.observed_at)}
    if body is not None:
        item["body"] = Raw(as_served(body, head.version.resource_version, generation))
    return _encode(item)


def as_served(body: bytes, resource_version: int, generation: int) -> bytes:
    """Return *body* with the metadata that a record carries beside it put back."""
    fields = _FIELDS.decode(body)
    metadata = _FIELDS.decode(fields.get("metadata", Raw(b"{}")))
    metadata["resourceVersion"] = Raw(b'"%d"' % resource_version)
    if generation:
        metadata["generation"] = Raw(b"%d" % generation)
    fields["metadata"] = Raw(_encode(metadata))
    return _encode(fields)
