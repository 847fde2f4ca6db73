"""
Second pass over a transaction: Changes become rows of the journal.

First everything that may have to be asked of the journal is asked at once (`prefetch`); then the rows are decided in
order, without a wait, so that the work can run in a thread. A version is stored once; what is older than the
object's head is `late` and a key version; what differs from the head in nothing but heartbeats is churn.
"""

from collections.abc import Sequence
from sys import intern

import msgspec
import structlog

from aggregator.ingest.catalog import Catalog
from aggregator.ingest.churn import is_churn
from aggregator.ingest.doubts import settle_seen, settle_unmoved
from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft
from aggregator.ingest.rows import Known, add_head, add_row, encode_actor
from aggregator.ingest.streams import Absence, Located, LocatedChange, LocatedDeparture
from aggregator.records import ChangeRow, Head, ObjectKey, Verb, Version
from aggregator.store.base import Journal
from aggregator.store.patches import diff
from kubescribe.wire.records import Change, Gap
from kubescribe.wire.streams import selector_of

_log = structlog.get_logger(__name__)
_END = 2**63
_BODY = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def prefetch(journal: Journal, catalog: Catalog, located: Sequence[Located]) -> Known:
    """Ask the journal for everything that the second pass may need for *located*."""
    changes = [item for item in located if isinstance(item, LocatedChange)]
    known = Known()
    departed = {ObjectKey(it.departed.kind, it.departed.uid) for it in located if isinstance(it, LocatedDeparture)}
    keys = [_key(item.change) for item in changes]
    known.heads = await catalog.heads(departed.union(keys))
    bases: set[int] = set()
    older: set[tuple[int, Version]] = set()
    for change, key in zip(changes, keys, strict=True):
        head = known.heads.get(key)
        if head is None:
            continue
        version = _version(change)
        known.versions.add((head.id, head.version))
        if version > head.version:
            bases.add(head.seq)
        elif version < head.version:
            older.add((head.id, version))
    if older:
        known.versions |= await journal.known(older)
        for object_id, version in older - known.versions:
            seq = await journal.below(object_id, version)
            if seq is not None:
                known.below[object_id, version] = seq
                bases.add(seq)
    known.bodies = await catalog.bodies(bases)
    for stream, ends in _ends_by_stream(located).items():
        listed = frozenset.intersection(*(end.uids for end in ends))
        known.living[stream] = await journal.living(ends[0].kind, selector_of(stream).node, but=listed)
    return known


def _ends_by_stream(located: Sequence[Located]) -> dict[str, list[Absence]]:
    found: dict[str, list[Absence]] = {}
    for item in located:
        if isinstance(item, Absence):
            found.setdefault(item.stream, []).append(item)
    return found


def store_change(draft: Draft, known: Known, item: LocatedChange, *, key_version_every: int) -> None:
    """Decide the row of one Change; one that cannot be stored is counted and becomes a Gap, alone."""
    try:
        _change(draft, known, item, key_version_every)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        _malformed(draft, item.change, error)
    except Exception as error:  # noqa: BLE001 - one object that trips a defect of ours must not stop all the others
        _log.exception("ingest.change_failed", kind=item.change.kind, uid=item.change.uid)
        _malformed(draft, item.change, error)


def _key(change: Change) -> ObjectKey:
    # A head is kept for each object: what thousands have in common they share.
    return ObjectKey(intern(change.kind), change.uid)


def _version(item: LocatedChange) -> Version:
    return Version(item.epoch, item.change.resource_version, item.change.gone)


def _change(draft: Draft, known: Known, item: LocatedChange, key_version_every: int) -> None:
    change, version = item.change, _version(item)
    if not (change.kind and change.uid and change.name and 0 < change.resource_version < _END):
        raise ValueError("kind, uid, name and a positive resourceVersion are required")
    if not (0 <= change.observed_at < _END and 0 <= change.generation < _END):
        raise ValueError("observedAt and generation must be 64-bit numbers")
    head = known.heads.get(_key(change))
    is_next = head is not None and version > head.version
    if not is_next and (change.body or not change.gone):
        _BODY.decode(change.body)
    if head is None:
        if not change.body:
            draft.tally["delete_of_unknown"] += 1
            return
        _first(draft, known, change, version)
    elif version == head.version or (head.id, version) in known.versions:
        draft.tally["duplicate"] += 1
        settle_seen(draft, head.key, change)
    elif version < head.version:
        _late(draft, known, change, version, head)
    else:
        _next(draft, known, change, version, head, key_version_every=key_version_every)


def _first(draft: Draft, known: Known, change: Change, version: Version) -> None:
    head = Head(
        id=draft.next_object_id(),
        key=_key(change),
        namespace=intern(change.namespace),
        name=change.name,
        node=intern(change.node),
        version=version,
        seq=draft.next_seq(),
        depth=0,
        observed_at=change.observed_at,
    )
    verb = Verb.ADDED if not change.gone else _delete_verb(change)
    row = _row(draft, change, head, verb=verb, base=None, patch=None, body=change.body)
    add_head(draft, known, row, head, actor=change.actor, body=change.body)


def _next(draft: Draft, known: Known, change: Change, version: Version, head: Head, *, key_version_every: int) -> None:
    old = known.bodies.get(head.seq)
    if old is None:
        raise ValueError(f"the journal holds no body for change {head.seq}")
    body = change.body if change.body or not change.gone else old
    if not old[:1] == body[:1] == b"{":
        # Otherwise the difference decodes it, and what is no object is told apart there.
        _BODY.decode(body)
    patch = diff(old, body)
    if change.gone:
        verb = _delete_verb(change)
    elif head.version.gone:
        verb = Verb.ADDED
    elif is_churn(patch, listed=change.listed):
        draft.tally["churn"] += 1
        settle_unmoved(draft, head.key, version)
        return
    else:
        verb = Verb.MODIFIED
    depth = head.depth + 1
    is_key_version = depth >= key_version_every
    new = Head(
        id=head.id,
        key=head.key,
        namespace=head.namespace,
        name=head.name,
        node=intern(change.node or head.node),
        version=version,
        seq=draft.next_seq(),
        depth=0 if is_key_version else depth,
        observed_at=max(change.observed_at, head.observed_at),
    )
    row = _row(draft, change, new, verb=verb, base=head.seq, patch=patch, body=body if is_key_version else None)
    add_head(draft, known, row, new, actor=change.actor, body=body)


def _late(draft: Draft, known: Known, change: Change, version: Version, head: Head) -> None:
    below = _below(known, head, version)
    old = known.bodies.get(below) if below is not None else None
    body = change.body or old
    if not body:
        draft.tally["delete_of_unknown"] += 1
        return
    if below is None or old is None:
        base, patch, verb = None, None, Verb.ADDED
    else:
        base, patch, verb = below, diff(old, body), Verb.MODIFIED
        if is_churn(patch, listed=change.listed) and not change.gone:
            draft.tally["churn"] += 1
            return
    if change.gone:
        verb = _delete_verb(change)
    row = ChangeRow(
        seq=draft.next_seq(),
        object_id=head.id,
        version=version,
        verb=verb,
        observed_at=change.observed_at,
        committed_at=draft.committed_at,
        late=True,
        listed=change.listed,
        generation=change.generation,
        base=base,
        patch=patch,
        body=body,
        actor=encode_actor(change.actor),
        after=change.inferred.after if change.inferred else None,
    )
    known.note(row)
    known.bodies[row.seq] = body
    draft.tally["late"] += 1
    add_row(draft, row, head, change.actor)


def _below(known: Known, head: Head, version: Version) -> int | None:
    """Return the seq of the highest version below, of the journal or of this transaction."""
    stored = known.below.get((head.id, version))
    before = known.before.get(head.key)
    if before is not None and before.version < version:
        stored = before.seq
    best = max((row for row in known.added.get(head.id, ()) if row[0] < version), default=None)
    if best is None:
        return stored
    if before is not None and best[0] > before.version:
        return best[1]
    # What the journal has below both is the same only if it has nothing between the two.
    return best[1] if known.below.get((head.id, best[0])) == stored else stored


def _delete_verb(change: Change) -> Verb:
    return Verb.INFERRED_DELETED if change.inferred else Verb.DELETED


def _row(
    draft: Draft, change: Change, head: Head, *, verb: Verb, base: int | None, patch: bytes | None, body: bytes | None
) -> ChangeRow:
    return ChangeRow(
        seq=head.seq,
        object_id=head.id,
        version=head.version,
        verb=verb,
        observed_at=change.observed_at,
        committed_at=draft.committed_at,
        late=False,
        listed=change.listed,
        generation=change.generation,
        base=base,
        patch=patch,
        body=body,
        actor=encode_actor(change.actor),
        after=change.inferred.after if change.inferred else None,
    )


def _malformed(draft: Draft, change: Change, error: Exception) -> None:
    draft.tally["malformed"] += 1
    at = change.observed_at if 0 <= change.observed_at < _END else draft.committed_at
    gap = Gap(
        id=f"malformed/{change.kind}/{change.uid}/{change.resource_version}"[:256],
        stream=change.stream,
        cause="malformed",
        start=at,
        to=at,
        outcome="lost",
        count=1,
        detail=f"{change.kind} {change.namespace}/{change.name}: {error}"[:256],
    )
    add_gap(draft, gap)
