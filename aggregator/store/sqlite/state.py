"""What ingest needs when a journal opens, read from its small tables; the size of the journal does not matter."""

import sqlite3

import msgspec

from aggregator.records import CounterKey, DoubtRow, JournalState, ObjectKey, SnapshotStage, StreamRow, Version
from aggregator.store.bodies import Unpacker
from aggregator.store.sqlite.statements import EPOCH_SINCE
from kubescribe.wire.records import Gap, Presence

_GAP = msgspec.json.Decoder(Gap)
_PRESENCE = msgspec.json.Decoder(Presence)
_LABELS = msgspec.json.Decoder(tuple[str, ...])

# The latest row of each id, and of those the open ones.
_OPEN_GAPS = """SELECT said FROM gaps AS g WHERE outcome = 'open'
    AND NOT EXISTS (SELECT 1 FROM gaps WHERE id = g.id AND seq > g.seq)"""
_LATEST_PRESENCES = """SELECT said FROM presences AS p
    WHERE NOT EXISTS (SELECT 1 FROM presences WHERE agent = p.agent AND seq > p.seq)"""


def read_state(connection: sqlite3.Connection, unpacker: Unpacker) -> JournalState:
    """Return the state. Raises sqlite3.Error, DamagedValue, msgspec.DecodeError."""
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    last_seq, last_object = connection.execute("SELECT last_seq, last_object FROM totals").fetchone()
    gaps = [_GAP.decode(unpacker.unpack(said)) for (said,) in connection.execute(_OPEN_GAPS)]
    presences = [_PRESENCE.decode(unpacker.unpack(said)) for (said,) in connection.execute(_LATEST_PRESENCES)]
    return JournalState(
        journal_id=meta["journal_id"],
        redaction_key=meta["redaction_key"],
        cluster_uid=meta.get("cluster_uid", ""),
        cluster=meta.get("cluster", ""),
        epoch=meta.get("epoch", 1),
        epochs_since={
            int(name.removeprefix(EPOCH_SINCE)): at for name, at in meta.items() if name.startswith(EPOCH_SINCE)
        },
        last_seq=last_seq,
        last_object_id=last_object,
        streams={row.name: row for row in _streams(connection)},
        terms={
            (stream, term): epoch for stream, term, epoch in connection.execute("SELECT stream, term, epoch FROM terms")
        },
        spools=dict(connection.execute("SELECT id, n FROM spools")),
        stages=_stages(connection),
        counters={
            CounterKey(family, _LABELS.decode(labels)): value
            for family, labels, value in connection.execute("SELECT family, labels, value FROM counters")
        },
        open_gaps={gap.id: gap for gap in gaps},
        present={it.agent: it for it in presences if it.state == "came"},
        went={it.agent: it.observed_at for it in presences if it.state == "went"},
        doubts={row.key: row for row in _doubts(connection)},
        last_committed_at=connection.execute("SELECT coalesce(max(last_committed_at), 0) FROM spans").fetchone()[0],
    )


def _streams(connection: sqlite3.Connection) -> list[StreamRow]:
    columns = ("name", "kind", "resource_version", "epoch", "complete_at", "holder", "held_since", "term")
    return [
        StreamRow(**dict(zip(columns, row, strict=True)))
        for row in connection.execute(
            "SELECT name, kind, resource_version, epoch, complete_at, holder, held_since, term FROM streams"
        )
    ]


def _doubts(connection: sqlite3.Connection) -> list[DoubtRow]:
    return [
        DoubtRow(
            key=ObjectKey(kind, uid),
            namespace=namespace,
            name=name,
            resource_version=resource_version,
            after=after,
            settled_by=Version(epoch, at_version, bool(gone)),
            since=since,
        )
        for kind, uid, namespace, name, resource_version, after, epoch, at_version, gone, since in connection.execute(
            """SELECT kind, uid, namespace, name, resource_version, after_at,
            settled_by_epoch, settled_by_resource_version, settled_by_gone, since FROM doubts"""
        )
    ]


def _stages(connection: sqlite3.Connection) -> dict[str, SnapshotStage]:
    uids: dict[str, set[str]] = {}
    for stream, uid in connection.execute("SELECT stream, uid FROM staged"):
        uids.setdefault(stream, set()).add(uid)
    return {
        stream: SnapshotStage(
            stream=stream,
            id=stage,
            resource_version=resource_version,
            consistent=bool(consistent),
            uids=frozenset(uids.get(stream, ())),
        )
        for stream, stage, resource_version, consistent in connection.execute(
            "SELECT stream, id, resource_version, consistent FROM stages"
        )
    }
