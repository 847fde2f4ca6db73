"""A Kubernetes Event as an entry. Pure."""

import re

import msgspec

from aggregator.outlets.loki.entries import LokiEntry, kept, logfmt
from aggregator.outlets.loki.subjects import Subject
from kubescribe.wire.times import from_rfc3339

_CONTAINER = re.compile(r"\{(?P<name>[a-z0-9-]+)\}$")
"""The end of a fieldPath: `spec.containers{web}`."""


class Regarding(msgspec.Struct, gc=False, rename="camel"):
    """What an Event is about."""

    kind: str = ""
    namespace: str | None = None
    name: str = ""
    uid: str | None = None
    field_path: str | None = None

    @property
    def container(self) -> str:
        """The container that it is about, "" for none."""
        found = _CONTAINER.search(self.field_path or "")
        return found["name"] if found else ""


class EventItem(msgspec.Struct, gc=False, rename="camel"):
    """An occurrence as the journal renders it, as far as it matters here."""

    seq: int
    committed_at: str
    observed_at: str
    name: str
    reason: str
    event_type: str
    message: str
    count: int
    reporter: str
    regarding: Regarding
    deleted: bool
    reporter_instance: str | None = None
    action: str | None = None
    first_at: str | None = None
    last_at: str | None = None


_ITEM = msgspec.json.Decoder(EventItem)


def read_event(item: bytes) -> EventItem:
    """Return the occurrence in *item*, JSON of the journal. Raises msgspec.MsgspecError."""
    return _ITEM.decode(item)


def node_of(item: EventItem) -> str:
    """Return the node that an Event tells of: what it is about, or the kubelet that says it."""
    if item.regarding.kind == "Node":
        return item.regarding.name
    return item.reporter_instance or "" if item.reporter == "kubelet" else ""


def event_entry(item: EventItem, subject: Subject) -> LokiEntry:
    """Return the entry, at the time at which it happened last."""
    about = item.regarding
    fields = {
        "level": "warn" if item.event_type == "Warning" else "info",
        "reason": item.reason,
        "type": item.event_type,
        "kind": about.kind,
        "name": about.name,
        "container": about.container,
        "count": item.count if item.count > 1 else None,
        "since": item.first_at if item.count > 1 else None,
        "by": item.reporter,
        "msg": " ".join(item.message.split()),
    }
    metadata = {
        **subject.metadata,
        "kind": about.kind,
        "name": about.name,
        "uid": about.uid or "",
        "reason": item.reason,
        "type": item.event_type,
        "event": item.name,
    }
    at = from_rfc3339(item.last_at or item.first_at or item.observed_at)
    return LokiEntry(stream="event", at=at, labels=subject.labels, metadata=kept(metadata), line=logfmt(fields))
