"""
Versions of objects and the events that made them, as bytes that are rendered once and shared.

A version's body is the object as it stands in a list: without kind and apiVersion, metadata first, in the key
order of the real server. Watchers get slices of it; nobody decodes it to send it. Immutable but for caches.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from simulator.resource import Resource

Object = dict[str, Any]

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"

_METADATA_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_VERSION_MARK = b'"resourceVersion":"'

_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Facts:
    """What selectors look at."""

    labels: Mapping[str, str]
    fields: Mapping[str, str]
    """By path inside the stored object; absent values are the empty string."""


@dataclass(slots=True, eq=False)
class Version:
    """One version of one object."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    revision: int
    body: bytes
    facts_known: Facts | None = None
    """Set when the writer knows them, or once they were read."""
    shapes: dict[str, bytes] = field(default_factory=dict)
    """Other renderings by view, made once."""

    @property
    def key(self) -> tuple[str, str]:
        """Where it stands within its resource."""
        return self.namespace, self.name

    @property
    def facts(self) -> Facts:
        """Labels and selectable fields, read from the body at the first request."""
        if self.facts_known is None:
            self.facts_known = facts_of(self.resource, _decode_any(self.body))
        return self.facts_known

    def object(self) -> Object:
        """Return a fresh decoded object, without kind and apiVersion."""
        decoded: Object = _decode_any(self.body)
        return decoded

    def at(self, revision: int) -> "Version":
        """Return the same object carrying another resourceVersion: what a DELETED shows."""
        return Version(
            resource=self.resource,
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            revision=revision,
            body=with_revision(self.body, revision),
            facts_known=self.facts_known,
        )


@dataclass(slots=True, eq=False)
class Event:
    """One write: what it made of an object, and what stood there before."""

    revision: int
    type: str
    version: Version
    previous: Version | None


def rendered(obj: Object) -> bytes:
    """Return the body of an object: kind and apiVersion left out, metadata first and in the server's key order."""
    metadata = obj.get("metadata", {})
    ordered = {key: metadata[key] for key in _METADATA_ORDER if key in metadata}
    ordered.update((key, value) for key, value in metadata.items() if key not in ordered)
    rest = {key: value for key, value in obj.items() if key not in {"kind", "apiVersion", "metadata"}}
    return _encode({"metadata": ordered, **rest})


def with_revision(body: bytes, revision: int) -> bytes:
    """Return *body* with another resourceVersion; only names and the uid stand before it, so the first is the one."""
    head, mark, rest = body.partition(_VERSION_MARK)
    return b"%b%b%d%b" % (head, mark, revision, rest[rest.index(b'"') :])


def split_at_revision(body: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and after the number in `resourceVersion`."""
    head, mark, rest = body.partition(_VERSION_MARK)
    return head + mark, rest[rest.index(b'"') :]


def facts_of(resource: Resource, obj: Object) -> Facts:
    """Return the facts of an object, apart from it: it may be changed later. Values repeat, so they are shared."""
    labels = obj.get("metadata", {}).get("labels") or {}
    return Facts(dict(labels), {path: sys.intern(_text_at(obj, path)) for path in set(resource.fields.values())})


def _text_at(obj: Any, path: str) -> str:
    for key in path.split("."):
        if not isinstance(obj, dict):
            return ""
        obj = obj.get(key)
    if obj is None:
        return ""
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return str(obj)
