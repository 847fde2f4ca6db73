"""
Records' rows to columns and back. Pure; the SQL that names the columns stands beside the functions that fill them.

The order of a tuple is the order of the columns in schema/0001_initial.sql.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from aggregator.records import ChangeRow, Head, ObjectKey, OccurrenceRow, Verb, Version
from aggregator.store.bodies import Packer, Unpacker
from kubescribe.wire.records import Occurrence

SPAN_SEQS = 4096
"""Seqs in one row of `spans`."""

CHANGE = (
    "c.seq, c.object, c.epoch, c.resource_version, c.gone, c.verb, c.late, c.listed, c.generation, c.observed_at, "
    "c.lag, c.base, c.after_at, c.said"
)
OBJECT = "o.kind, o.namespace, o.name, o.uid"
HEAD = "h.object, h.node, h.seq, h.epoch, h.resource_version, h.gone, h.depth, h.observed_at"

_OCCURRENCE = msgspec.json.Decoder(Occurrence)
_encode = msgspec.json.Encoder().encode


def uid_key(uid: str) -> bytes | str:
    """Return *uid* as it is stored: 16 bytes when it is a UUID as Kubernetes writes them."""
    if len(uid) == 36 and uid[8:24:5] == "----" and uid == uid.lower():
        try:
            short = bytes.fromhex(uid.replace("-", ""))
        except ValueError:
            return uid
        if len(short) == 16:
            return short
    return uid


def uid_text(stored: bytes | str) -> str:
    """Return the uid that was stored."""
    if isinstance(stored, str):
        return stored
    digits = stored.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def change_rows(rows: Iterable[ChangeRow], packer: Packer) -> Iterator[tuple[Any, ...]]:
    """Give the rows of `changes`; plain ints, since sqlite3 looks for an adapter for every bool and enum."""
    pack = packer.pack
    for row in rows:
        seq, observed_at, base, actor, patch = row.seq, row.observed_at, row.base, row.actor or b"", row.patch
        epoch, resource_version, gone = row.version
        said = actor if patch is None else b"%b\n%b" % (actor, patch)
        yield (
            seq,
            row.object_id,
            epoch,
            resource_version,
            1 if gone else 0,
            int(row.verb),
            1 if row.late else 0,
            1 if row.listed else 0,
            row.generation,
            observed_at,
            row.committed_at - observed_at,
            None if base is None else seq - base,
            row.after,
            pack(said) if said else None,
        )


def change_of(columns: tuple[Any, ...], unpacker: Unpacker) -> ChangeRow:
    """Return the row that CHANGE selected; its body is left where it is."""
    (
        seq,
        object_id,
        epoch,
        resource_version,
        gone,
        verb,
        late,
        listed,
        generation,
        observed_at,
        lag,
        base,
        after,
        said,
    ) = columns
    actor, patch = (None, None) if said is None else said_of(unpacker.unpack(said))
    return ChangeRow(
        seq=seq,
        object_id=object_id,
        version=Version(epoch, resource_version, bool(gone)),
        verb=Verb(verb),
        observed_at=observed_at,
        committed_at=observed_at + lag,
        late=bool(late),
        listed=bool(listed),
        generation=generation,
        base=None if base is None else seq - base,
        patch=patch,
        body=None,
        actor=actor,
        after=after,
    )


def said_of(said: bytes) -> tuple[bytes | None, bytes | None]:
    """Return (actor, patch) of an unpacked `said`; JSON that is ours holds no line break, so the first one divides."""
    actor, divider, patch = said.partition(b"\n")
    return actor or None, patch if divider else None


def head_of(columns: tuple[Any, ...], key: ObjectKey, namespace: str, name: str, node: str) -> Head:
    """Return the head that HEAD selected; the words are resolved by the caller."""
    object_id, _, seq, epoch, resource_version, gone, depth, observed_at = columns
    return Head(
        id=object_id,
        key=key,
        namespace=namespace,
        name=name,
        node=node,
        version=Version(epoch, resource_version, bool(gone)),
        seq=seq,
        depth=depth,
        observed_at=observed_at,
    )


def pack_record(record: msgspec.Struct, packer: Packer) -> bytes:
    """Return a whole record as it is stored."""
    return packer.pack(_encode(record))


def occurrence_of(columns: tuple[Any, ...], unpacker: Unpacker) -> OccurrenceRow:
    """Return the row of (seq, epoch, added, observed_at, lag, said)."""
    seq, epoch, added, observed_at, lag, said = columns
    return OccurrenceRow(
        seq=seq,
        epoch=epoch,
        added=added,
        committed_at=observed_at + lag,
        occurrence=_OCCURRENCE.decode(unpacker.unpack(said)),
    )
