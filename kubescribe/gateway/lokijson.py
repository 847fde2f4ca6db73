"""
Loki's push as JSON, which Fluent Bit and Fluentd send: a request's bytes → streams. Pure.

    {"streams": [{"stream": {"job": "x"}, "values": [["<ns, a string>", "<line>", {"name": "value"}], …]}, …]}

Read as Loki reads it (pkg/loghttp/entry.go): the time is a string, of the metadata nested objects do not count.
Fluent Bit by default puts the lines of all pods into one stream and the pod into each line, as JSON; and with keys for
labels it makes a stream of every line. So streams of the same labels are put together, and those that tell no pod are
taken apart by what their lines tell.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from kubescribe.gateway.entries import clamped
from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.streams import Gathering, Incoming
from kubescribe.labels.clues import Clue, clue_of
from kubescribe.labels.names import selector_text
from kubescribe.loki.encoding import encode_entry, encode_metadata

_LOADED_BYTES = 8 * 2**20
"""Of a body that is read by Python's own reader, which makes objects of whatever is in it; of a larger one halves of
surrogate pairs are not put right."""

_LARGE_DIGITS = 19
"""Of a time that may be beyond what is taken: 2 ** 63."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


_NO_METADATA = msgspec.Raw(b"")


class _Entry(msgspec.Struct, array_like=True, gc=False):
    at: str
    line: str
    metadata: msgspec.Raw = _NO_METADATA


class _Stream(msgspec.Struct, gc=False):
    stream: dict[str, str | int | float | bool]
    values: list[_Entry] | None = None


class Push(msgspec.Struct, gc=False):
    """A push request, as it came."""

    streams: list[_Stream] | None = None


class _Kubernetes(msgspec.Struct, gc=False):
    """What Fluent Bit's kubernetes filter adds to a record (plugins/filter_kubernetes/kube_meta.c)."""

    pod_name: str = ""
    namespace_name: str = ""
    pod_id: str = ""
    container_name: str = ""
    docker_id: str = ""


class _Record(msgspec.Struct, gc=False):
    """A line of Fluent Bit. Only the map at its top is the filter's: what lies deeper was written by the program."""

    kubernetes: _Kubernetes | None = None


_PUSH = msgspec.json.Decoder(Push)
_RECORD = msgspec.json.Decoder(_Record)
_KUBERNETES = msgspec.json.Decoder(_Kubernetes)
_UNREADABLE = (msgspec.MsgspecError, UnicodeEncodeError, RecursionError)
"""What decoding a line raises: a program writes whatever it likes, and nests it a thousand deep."""

_MAP = '"kubernetes":{'
_BRACES = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]')


def parse(body: bytes) -> Push:
    """Return *body* as a push, to be given to streams_of; nothing of it refers to *body*. Raises BadPush."""
    try:
        return _PUSH.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        first = error
    # Bytes that are no UTF-8 and halves of surrogate pairs: Loki's decoder takes them, and so do we.
    text = body.decode("utf-8", "replace")
    try:
        if len(body) <= _LOADED_BYTES:
            text = json.dumps(json.loads(text), ensure_ascii=False)
        return _PUSH.decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise BadPush(f"the body is no push request in JSON: {str(first)[:200]}") from first


def streams_of(push: Push) -> Iterator[Incoming]:
    """
    Yield the streams of *push* that have entries, a long one in pieces. Raises BadPush.

    *push* is used up: what was encoded is let go, so that a large one is not in memory twice.
    """
    gathering = Gathering()
    metadata: dict[bytes, bytes] = {}
    for stream in push.streams or ():
        labels = _labels(stream.stream)
        text, tells_a_pod = selector_text(labels), clue_of(labels).names_a_pod
        values, stream.values = stream.values or [], None
        values.reverse()
        while values:
            entry = values.pop()
            at_ns = _time(entry.at)
            encoded = b""
            if entry.metadata is not _NO_METADATA:
                raw = bytes(entry.metadata)
                if raw not in metadata:
                    metadata[raw] = encode_metadata(_metadata(raw))
                encoded = metadata[raw]
            clue = None if tells_a_pod else _clue_of_line(entry.line)
            made = encode_entry(at_ns, entry.line.encode("utf-8", "replace"), encoded)
            if (piece := gathering.add(text, clue, at_ns, made)) is not None:
                yield piece
    yield from gathering.rest()


def _labels(given: dict[str, str | int | float | bool]) -> dict[str, str]:
    labels = {}
    for name, value in given.items():
        if _NAME.fullmatch(name) is None:
            raise BadPush(f"{name[:100]!r} is no name of a label")
        labels[name] = value if isinstance(value, str) else json.dumps(value)
    return labels


def _time(text: str) -> int:
    if text.isdigit() and text.isascii() and len(text) < _LARGE_DIGITS:
        return int(text)
    if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
        raise BadPush(f"{text[:40]!r} is no time in nanoseconds")
    return clamped(int(text))


def _metadata(raw: bytes) -> dict[str, str]:
    if raw == b"null":
        return {}
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadPush(f"the structured metadata of an entry is no JSON: {str(error)[:100]}") from error
    if not isinstance(found, dict):
        raise BadPush("the structured metadata of an entry is no object")
    inner = found.get("structuredMetadata")
    pairs = inner if isinstance(inner, dict) else found
    return dict(_pairs(pairs.items()))


def _pairs(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, str]]:
    for name, value in items:
        if isinstance(value, dict):
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        yield name.encode("utf-8", "replace").decode(), text.encode("utf-8", "replace").decode()


def _clue_of_line(line: str) -> Clue | None:
    """Return what a line of Fluent Bit tells of its pod, None for any other line."""
    at = line.rfind(_MAP)
    if at < 0 or not line.startswith("{"):
        return None
    try:
        told = _RECORD.decode(line).kubernetes
    except _UNREADABLE:
        told = _told_by(line[at + len(_MAP) - 1 :])
    if told is None:
        return None
    clue = Clue(
        uid=told.pod_id,
        container_id=told.docker_id,
        namespace=told.namespace_name,
        pod=told.pod_name,
        container=told.container_name,
    )
    return clue if clue.names_a_pod else None


def _told_by(text: str) -> _Kubernetes | None:
    """Return the map that *text* begins with: of a line that is no JSON elsewhere."""
    try:
        return _KUBERNETES.decode(_object(text))
    except _UNREADABLE:
        return None


def _object(text: str) -> str:
    """Return the JSON object that *text* begins with, as far as braces outside of texts tell."""
    depth = 0
    for found in _BRACES.finditer(text):
        brace = found.group()
        depth += (brace == "{") - (brace == "}")
        if not depth:
            return text[: found.end()]
    return text
