"""
Core Events to Occurrence records (watching rules 33 to 37). Pure.

core/v1 and events.k8s.io/v1 are the same objects; core is watched, because it carries the fields of both. An Event is
known by its uid; what is new in it, +N, is ingest's to compute from the stored count, so nothing is kept here.
"""

import msgspec

from agent.errors import ServerSaid, Undecodable
from agent.watch.decoding import decode_status, version_in
from agent.watch.times import parse_time
from kubescribe.wire.records import Integer, ObjectReference, Occurrence

MAX_MESSAGE_CHARACTERS = 4096
"""The API allows 1 KiB in events.k8s.io; core/v1 does not check, and some emitters put stack traces there."""


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None


class _Series(msgspec.Struct, gc=False, rename="camel"):
    count: Integer = 0
    last_observed_time: str | None = None


class _Source(msgspec.Struct, gc=False):
    component: str = ""
    host: str = ""


class _Reference(msgspec.Struct, gc=False, rename="camel"):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class KubeEvent(msgspec.Struct, gc=False, rename="camel"):
    """A core/v1 Event, the fields that are recorded."""

    metadata: _Meta
    involved_object: _Reference | None = None
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    action: str | None = None
    source: _Source | None = None
    count: Integer | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: _Series | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None
    kind: str = ""


class KubeEventLine(msgspec.Struct, gc=False):
    """One line of a watch of Events."""

    type: str
    object: KubeEvent


class _RawLine(msgspec.Struct, gc=False):
    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"{}")
    kind: str = ""


_LINE = msgspec.json.Decoder(KubeEventLine)
_RAW = msgspec.json.Decoder(_RawLine)
_OBJECT = msgspec.json.Decoder(KubeEvent)
_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_event_line(line: bytes) -> KubeEventLine:
    """Return the event in *line*. Raises ServerSaid for an ERROR or a Status, Undecodable for what is neither."""
    try:
        decoded = _LINE.decode(line)
    except _BAD_JSON as error:
        raise _told_by(line, error) from error
    if decoded.type == "ERROR":
        raise _told_by(line, ValueError("watch: an ERROR without a Status"))
    if decoded.type not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
        raise Undecodable(f"watch: type {decoded.type[:32]!r} is not known")
    return decoded


def decode_event_object(data: bytes | msgspec.Raw) -> KubeEvent:
    """Return the Event in *data*, an item of a list. Raises Undecodable."""
    try:
        return _OBJECT.decode(data)
    except _BAD_JSON as error:
        raise Undecodable(f"event: {str(error)[:200]}") from error


def occurrence_of(
    event: KubeEvent, *, stream: str, term: int, observed_at: int, is_listed: bool = False, is_gone: bool = False
) -> Occurrence:
    """Return the record of *event* as it stands. Raises Undecodable when it has no identity."""
    meta = event.metadata
    if not meta.uid:
        raise Undecodable("event: it has no uid")
    about = event.involved_object or _Reference()
    source = event.source or _Source()
    created = _moment(meta.creation_timestamp)
    first = _moment(event.first_timestamp) or _moment(event.event_time) or created
    return Occurrence(
        stream=stream,
        term=term,
        uid=meta.uid,
        name=meta.name,
        namespace=meta.namespace,
        resource_version=version_in(meta.resource_version),
        observed_at=observed_at,
        reason=event.reason or "",
        event_type=event.type or "",
        message=(event.message or "")[:MAX_MESSAGE_CHARACTERS],
        action=event.action or "",
        count=max(1, (event.series.count if event.series else 0) or event.count or 1),
        first_at=first,
        last_at=last_moment(event),
        regarding=ObjectReference(
            kind=about.kind,
            namespace=about.namespace,
            name=about.name,
            uid=about.uid,
            field_path=about.field_path,
        ),
        reporter=event.reporting_component or source.component,
        reporter_instance=event.reporting_instance or source.host,
        listed=is_listed,
        gone=is_gone,
    )


def last_moment(event: KubeEvent) -> int:
    """Return when the Event last happened, by its emitter's clock (rule 35)."""
    series = _moment(event.series.last_observed_time) if event.series else 0
    times = (event.last_timestamp, event.event_time, event.first_timestamp, event.metadata.creation_timestamp)
    return max(series, *map(_moment, times))


def is_deleted_early(event: KubeEvent, now: int, time_to_live_seconds: float) -> bool:
    """
    Tell whether a deleted Event was younger than its time to live: then somebody deleted it (rule 36).

    The lease of an Event starts anew with each write. A tenth of the time is left for clocks that differ and for
    etcd, which revokes leases late, never early.
    """
    age = now - last_moment(event)
    return age < time_to_live_seconds * 0.9 * 10**9


def _moment(text: str | None) -> int:
    return (parse_time(text) or 0) if text else 0


def _told_by(line: bytes, error: Exception) -> ServerSaid | Undecodable:
    try:
        raw = _RAW.decode(line)
    except _BAD_JSON:
        return Undecodable(f"watch: {str(error)[:200]}")
    if raw.type == "ERROR":
        return decode_status(raw.object)
    if raw.kind == "Status":
        return decode_status(line)
    return Undecodable(f"watch: {str(error)[:200]}")
