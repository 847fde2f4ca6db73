"""
Rows to the JSON that the API and the feed serve: one rendering, used live after the commit and in every later read.

Bytes are joined, not built as objects: `patch`, `body` and `actor` are stored as JSON and go out as they are.
"""

from functools import lru_cache

import msgspec

from aggregator.records import ChangeRow, GapRow, Head, ObjectKey, OccurrenceRow, PresenceRow, Verb
from kubescribe.wire.records import Gap
from kubescribe.wire.times import to_rfc3339

_TEXT = msgspec.json.Encoder().encode


@lru_cache(maxsize=256)
def _time(nanoseconds: int | None) -> bytes:
    """Return the JSON of a time; what was read or committed together shares it."""
    return b"null" if nanoseconds is None else b'"%b"' % to_rfc3339(nanoseconds).encode()


@lru_cache(maxsize=8192)
def _identity(cluster: str, key: ObjectKey, namespace: str, name: str) -> bytes:
    """Return the fields that are the same in all changes of an object."""
    return b"".join(
        (
            b',"cluster":',
            _TEXT(cluster),
            b',"kind":',
            _TEXT(key.kind),
            b',"namespace":',
            _TEXT(namespace) if namespace else b"null",
            b',"name":',
            _TEXT(name),
            b',"uid":',
            _TEXT(key.uid),
        )
    )


def _bool(value: bool) -> bytes:
    return b"true" if value else b"false"


def render_change(row: ChangeRow, head: Head, cluster: str, diff: bytes | None) -> bytes:
    """Return *row* as the JSON of a change; *head* tells whose it is, *diff* is the API's `[{path, old, new}]`."""
    parts = [
        b'{"type":"change","seq":%d,"epoch":%d' % (row.seq, row.version.epoch),
        _identity(cluster, head.key, head.namespace, head.name),
        b',"resourceVersion":"%d","generation":%d,"verb":"%b","actor":'
        % (row.version.resource_version, row.generation, row.verb.text.encode()),
        row.actor or b"null",
        b',"observedAt":',
        _time(row.observed_at),
        b',"committedAt":',
        _time(row.committed_at),
        b',"late":%b,"listed":%b' % (_bool(row.late), _bool(row.listed)),
    ]
    if row.verb is Verb.INFERRED_DELETED:
        parts += (b',"interval":{"after":', _time(row.after), b',"before":', _time(row.observed_at), b"}")
    parts += (b',"diff":', b"null" if diff is None else diff, b"}")
    return b"".join(parts)


def render_occurrence(row: OccurrenceRow, cluster: str) -> bytes:
    """Return *row* as the JSON of an occurrence."""
    it = row.occurrence
    about = it.regarding
    return _TEXT(
        {
            "type": "occurrence",
            "seq": row.seq,
            "epoch": row.epoch,
            "cluster": cluster,
            "namespace": it.namespace or None,
            "name": it.name,
            "uid": it.uid,
            "resourceVersion": str(it.resource_version),
            "reason": it.reason,
            "eventType": it.event_type,
            "message": it.message,
            "action": it.action or None,
            "count": it.count,
            "added": row.added,
            "firstAt": to_rfc3339(it.first_at) if it.first_at else None,
            "lastAt": to_rfc3339(it.last_at) if it.last_at else None,
            "regarding": {
                "kind": about.kind,
                "namespace": about.namespace or None,
                "name": about.name,
                "uid": about.uid or None,
                "fieldPath": about.field_path or None,
            },
            "reporter": it.reporter,
            "reporterInstance": it.reporter_instance or None,
            "deleted": it.gone,
            "observedAt": to_rfc3339(it.observed_at),
            "committedAt": to_rfc3339(row.committed_at),
        }
    )


def render_gap(row: GapRow, cluster: str) -> bytes:
    """Return *row* as the JSON of a gap."""
    gap: Gap = row.gap
    return _TEXT(
        {
            "type": "gap",
            "seq": row.seq,
            "cluster": cluster,
            "id": gap.id,
            "stream": gap.stream,
            "cause": gap.cause,
            "from": to_rfc3339(gap.start),
            "to": None if gap.to is None else to_rfc3339(gap.to),
            "outcome": gap.outcome,
            "count": gap.count,
            "bytes": gap.bytes,
            "detail": gap.detail or None,
            "committedAt": to_rfc3339(row.committed_at),
        }
    )


def render_unrecorded(horizon: int, cluster: str) -> bytes:
    """Return the time before the oldest record that is kept as the JSON of a gap; *horizon* 0: there is none yet."""
    return _TEXT(
        {
            "type": "gap",
            "seq": 0,
            "cluster": cluster,
            "id": "unrecorded",
            "stream": "*",
            "cause": "unrecorded",
            "from": to_rfc3339(0),
            "to": to_rfc3339(horizon) if horizon else None,
            "outcome": "lost" if horizon else "open",
            "count": None,
            "bytes": None,
            "detail": "before the oldest record that the journal keeps",
            "committedAt": to_rfc3339(horizon),
        }
    )


def render_presence(row: PresenceRow, cluster: str) -> bytes:
    """Return *row* as the JSON of an agent's coming or going."""
    it = row.presence
    return _TEXT(
        {
            "type": "presence",
            "seq": row.seq,
            "cluster": cluster,
            "agent": it.agent,
            "state": it.state,
            "node": it.node or None,
            "scope": it.scope,
            "version": it.version,
            "instance": it.instance,
            "observedAt": to_rfc3339(it.observed_at),
            "committedAt": to_rfc3339(row.committed_at),
        }
    )
