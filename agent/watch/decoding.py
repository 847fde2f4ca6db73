"""
Bytes of the API to typed values, no further than needed: metadata partially, every section as the raw bytes sent.

Pure. Whatever the bytes are, the only error is Undecodable (watching rule 11): an HTML page of a load balancer, a
Status with HTTP 200, a Table, a wrong kind, a nesting bomb.
"""

from typing import Any

import msgspec

from agent.errors import ServerSaid, Undecodable
from agent.kube.statuses import Status, decode_refusal
from kubescribe.wire.records import MAX_INTEGER, Integer

NOTHING = msgspec.Raw(b"")
"""An absent field. msgspec leaves a default out when it is this very object, not one that is equal to it."""


class ManagedEntry(msgspec.Struct, gc=False):
    """One entry of managedFields: who wrote which fields, and when (seconds)."""

    manager: str = ""
    operation: str = ""
    time: str | None = None
    subresource: str = ""
    fields: msgspec.Raw = msgspec.field(default=NOTHING, name="fieldsV1")


class ObjectMeta(msgspec.Struct, gc=False, omit_defaults=True, rename="camel"):
    """
    An object's metadata; the fields that nobody here looks into stay raw.

    Encoding it leaves out what has its default, so clearing `managed_fields`, `resource_version`, `generation` and
    `self_link` is how a body loses them.
    """

    name: str = ""
    generate_name: msgspec.Raw = NOTHING
    namespace: str = ""
    self_link: msgspec.Raw = NOTHING
    uid: str = ""
    resource_version: str = ""
    generation: Integer = 0
    creation_timestamp: msgspec.Raw = NOTHING
    deletion_timestamp: msgspec.Raw = NOTHING
    deletion_grace_period_seconds: msgspec.Raw = NOTHING
    labels: msgspec.Raw = NOTHING
    annotations: msgspec.Raw = NOTHING
    owner_references: msgspec.Raw = NOTHING
    finalizers: msgspec.Raw = NOTHING
    managed_fields: list[ManagedEntry] | None = None


class ApiObject(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    """An object whose sections are spec and status at most: pods, nodes, workloads, most custom resources."""

    metadata: ObjectMeta
    kind: str = ""
    api_version: str = ""
    spec: msgspec.Raw = NOTHING
    status: msgspec.Raw = NOTHING

    def sections(self) -> dict[str, bytes]:
        """Return the sections that the object has, in the order of the API, as bytes."""
        if self.status:
            return (
                {"spec": bytes(self.spec), "status": bytes(self.status)}
                if self.spec
                else {"status": bytes(self.status)}
            )
        return {"spec": bytes(self.spec)} if self.spec else {}


class OpenObject(msgspec.Struct, gc=False):
    """An object of any other shape: ConfigMap, Role, EndpointSlice, PartialObjectMetadata and more."""

    metadata: ObjectMeta
    kind: str
    api_version: str
    fields: dict[str, msgspec.Raw]

    def sections(self) -> dict[str, bytes]:
        """Return the sections that the object has, in the order of the server, as bytes."""
        return {name: bytes(value) for name, value in self.fields.items()}


AnyObject = ApiObject | OpenObject


class WatchEvent(msgspec.Struct, gc=False):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: ApiObject


class OpenWatchEvent(msgspec.Struct, gc=False):
    """One line of a watch with an object of any shape."""

    type: str
    object: OpenObject


AnyWatchEvent = WatchEvent | OpenWatchEvent


class _RawEvent(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _ListMeta(msgspec.Struct, gc=False, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ListPage(msgspec.Struct, gc=False, rename="camel"):
    """One page of a list; `items` as they came."""

    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None
    kind: str = ""

    @property
    def continue_token(self) -> str:
        """Where the next page begins, "" on the last."""
        return self.metadata.continue_


_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_META = msgspec.json.Decoder(ObjectMeta)
_STATUS = msgspec.json.Decoder(Status)
_RAW_EVENT = msgspec.json.Decoder(_RawEvent)
_LINE = msgspec.json.Decoder(WatchEvent)
_OBJECT = msgspec.json.Decoder(ApiObject)
_LIST = msgspec.json.Decoder(ListPage)
_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


def decode_event(line: bytes) -> AnyWatchEvent:
    """Return the event in *line*. Raises ServerSaid for an ERROR or a Status, Undecodable for what is neither."""
    try:
        event = _LINE.decode(line)
    except _BAD_JSON:
        return _decode_open_event(line)
    if event.type in _TYPES:
        return event
    return _decode_open_event(line)


def decode_object(data: bytes | msgspec.Raw) -> AnyObject:
    """Return the object in *data*, an item of a list or the answer to a GET. Raises Undecodable."""
    try:
        return _OBJECT.decode(data)
    except _BAD_JSON:
        return _decode_open_object(data)


def decode_list(data: bytes) -> ListPage:
    """Return the page in *data*. Raises Undecodable."""
    try:
        return _LIST.decode(data)
    except _BAD_JSON as error:
        raise Undecodable(f"list: {str(error)[:200]}") from error


def decode_status(data: bytes | msgspec.Raw) -> ServerSaid:
    """Return the error that the Status in an ERROR line tells; one that is none counts as an internal error."""
    return decode_refusal(500, bytes(data), None)


def has_initial_events_end(event: AnyWatchEvent) -> bool:
    """Tell whether a BOOKMARK ends WatchList's initial events (KEP-3157)."""
    return b'"k8s.io/initial-events-end":"true"' in bytes(event.object.metadata.annotations).replace(b" ", b"")


def version_of(meta: ObjectMeta) -> int:
    """Return the resourceVersion as an integer (KEP-5504). Raises Undecodable."""
    return version_in(meta.resource_version)


def version_in(text: str) -> int:
    """Return the resourceVersion that *text* is. Raises Undecodable, also for one that no record can carry."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and (version := int(text)) <= MAX_INTEGER:
        return version
    raise Undecodable(f"resourceVersion {text[:32]!r} is not a number of 62 bits")


def text_of(value: msgspec.Raw) -> str:
    """Return the string in *value*, "" when it is absent, null or no string."""
    try:
        decoded: Any = msgspec.json.decode(value) if value else ""
    except _BAD_JSON:
        return ""
    return decoded if isinstance(decoded, str) else ""


def _decode_open_event(line: bytes) -> OpenWatchEvent:
    try:
        raw = _RAW_EVENT.decode(line)
    except _BAD_JSON as error:
        raise _told_by(line, error) from error
    if raw.type == "ERROR":
        raise decode_status(raw.object)
    if raw.type not in _TYPES:
        raise Undecodable(f"watch: type {raw.type[:32]!r} is not known")
    return OpenWatchEvent(raw.type, _decode_open_object(raw.object))


def _decode_open_object(data: bytes | msgspec.Raw) -> OpenObject:
    try:
        fields = _FIELDS.decode(data)
        meta = _META.decode(fields.pop("metadata"))
        kind = text_of(fields.pop("kind", NOTHING))
        version = text_of(fields.pop("apiVersion", NOTHING))
    except KeyError:
        raise Undecodable("object: it has no metadata") from None
    except _BAD_JSON as error:
        raise Undecodable(f"object: {str(error)[:200]}") from error
    return OpenObject(meta, kind, version, fields)


def _told_by(line: bytes, error: Exception) -> ServerSaid | Undecodable:
    """Return what a line that is no event says: a bare Status, or nothing that can be used."""
    try:
        status = _STATUS.decode(line)
    except _BAD_JSON:
        return Undecodable(f"watch: {str(error)[:200]}")
    return status.as_error(500) if status.kind == "Status" else Undecodable(f"watch: {str(error)[:200]}")
