"""
The body of a Change: the object as JSON without what is bookkeeping, sections as the server sent them, redacted.

Left out: managedFields, resourceVersion, generation, selfLink, last-applied-configuration. An EndpointSlice is reduced
to its counts. A body over its limit is replaced by one that says who the object is and how large it was. Pure.
"""

import re

import msgspec

from agent.watch.decoding import NOTHING, ObjectMeta
from agent.watch.lines import OversizedLine

MAX_BODY_BYTES = 1024 * 1024
"""A record must fit the link's batch; etcd's own limit for an object is ~1.5 MiB, the largest honest ones are ~1 MB."""

TRUNCATED = "kubescribe.io/truncated"

_ENCODER = msgspec.json.Encoder()
_SECTION_KEYS = {"spec": b',"spec":', "status": b',"status":'}

# The order of fields is Go's, so it is the same for every object of every API server that is written in Go.
_HEAD = re.compile(
    rb'\A\{"type":"(?P<type>[A-Z]+)","object":\{"kind":"[^"]+","apiVersion":"[^"]+","metadata":\{'
    rb'"name":"(?P<name>[^"\\]+)",(?:"generateName":"[^"\\]*",)?(?:"namespace":"(?P<namespace>[^"\\]+)",)?'
    rb'(?:"selfLink":"[^"\\]*",)?"uid":"(?P<uid>[^"\\]+)","resourceVersion":"(?P<version>\d{1,18})"'
)


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Who an oversized object is, as the head of its line tells."""

    type: str
    name: str
    namespace: str
    uid: str
    resource_version: int


class _Endpoint(msgspec.Struct, gc=False):
    conditions: "_Conditions | None" = None


class _Conditions(msgspec.Struct, gc=False):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


_ENDPOINTS = msgspec.json.Decoder(list[_Endpoint] | None)


def encode_meta(meta: ObjectMeta) -> bytes:
    """
    Return *meta* as JSON without its bookkeeping and without its annotations. Changes *meta*: call it last.

    Annotations are added by `join_body`: they are redacted and compared apart from the rest.
    """
    meta.managed_fields = None
    meta.resource_version = ""
    meta.generation = 0
    meta.self_link = NOTHING
    meta.annotations = NOTHING
    return _ENCODER.encode(meta)


def body_head(api_version: str, kind: str) -> bytes:
    """Return the beginning of every body of a kind, for `join_body`."""
    return b'{"apiVersion":' + _ENCODER.encode(api_version) + b',"kind":' + _ENCODER.encode(kind) + b',"metadata":'


def join_body(head: bytes, meta: bytes, annotations: bytes, sections: dict[str, bytes]) -> bytes:
    """Return the body made of its parts; *meta* as `encode_meta` wrote it, *annotations* an object or empty."""
    pieces = [head, meta]
    if len(annotations) > 2:
        pieces = [head, meta[:-1], b',"annotations":', annotations, b"}"]
    for name, section in sections.items():
        pieces += (_SECTION_KEYS.get(name) or b"," + _ENCODER.encode(name) + b":", section)
    pieces.append(b"}")
    return b"".join(pieces)


def truncated_body(api_version: str, kind: str, identity: Identity, size: int, token: str) -> bytes:
    """Return the body of an object that is too large to keep: who it is, its *size*, and a hash when there is one."""
    meta = {"name": identity.name, "namespace": identity.namespace, "uid": identity.uid}
    return _ENCODER.encode(
        {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {name: text for name, text in meta.items() if text},
            TRUNCATED: {"bytes": size, "digest": token} if token else {"bytes": size},
        }
    )


def identify(line: OversizedLine) -> Identity | None:
    """Return who the object in an oversized *line* is, None when its head does not tell."""
    match = _HEAD.match(line.head)
    if match is None:
        return None
    text = {name: (value or b"").decode("utf-8", "replace") for name, value in match.groupdict().items()}
    return Identity(text["type"], text["name"], text["namespace"], text["uid"], int(text["version"]))


def reduce_endpoints(sections: dict[str, bytes]) -> dict[str, bytes]:
    """Return the sections of an EndpointSlice with counts in the place of the addresses."""
    try:
        endpoints = _ENDPOINTS.decode(sections.get("endpoints", b"null")) or []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        endpoints = []
    # An absent ready means ready, an absent serving means as ready (the API's own rule).
    states = [item.conditions or _Conditions() for item in endpoints]
    ready = [state.ready is not False for state in states]
    counts = {
        "total": len(states),
        "ready": sum(ready),
        "serving": sum(
            is_ready if state.serving is None else state.serving for state, is_ready in zip(states, ready, strict=True)
        ),
        "terminating": sum(state.terminating is True for state in states),
    }
    return {
        **{name: part for name, part in sections.items() if name != "endpoints"},
        "endpoints": _ENCODER.encode(counts),
    }
