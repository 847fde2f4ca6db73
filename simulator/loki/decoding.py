"""
The body of a push as streams, decompressed and decoded as pkg/loghttp/push/push.go does (grafana/loki@65e30f8).

Stricter than Loki in one thing: text that is not UTF-8 is refused, which Loki's protobuf library lets pass.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import cramjam
from google.protobuf.message import DecodeError

from simulator.loki.entries import NANOS, Entry, Labels, PushedStream, Refusal
from simulator.loki.limits import Limits
from simulator.loki.schema import PushRequest
from simulator.loki.streamlabels import BadLabels, format_labels, parse_labels

TOO_LARGE = "request body too large: message size too large than max ({} vs {})"
TOO_LARGE_DECOMPRESSED = "request body too large: decompressed message size too large than max ({} vs {})"

_GZIP, _RAW_DEFLATE = 31, -15
"""zlib's window bits; Loki's deflate is Go's compress/flate, without zlib's header."""

_MALFORMED_STRING = "Value is string, but can't find closing '\"' symbol"
_MALFORMED_OBJECT = "Value looks like object, but can't find closing '}' symbol"
"""The errors of buger/jsonparser, which Loki returns for a value of another type, too (pkg/loghttp/entry.go)."""


def decode_push(body: bytes, headers: Mapping[str, str], limits: Limits) -> list[PushedStream]:
    """Return the streams of a request to /loki/api/v1/push. Raises Refusal."""
    encoding = headers.get("Content-Encoding", "")
    if encoding in {"gzip", "deflate"}:
        body = decompressed(body, encoding, limits)
    elif encoding not in {"", "snappy"}:
        raise Refusal(400, f'Content-Encoding "{encoding}" not supported')
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not kind:
        raise Refusal(400, "mime: no media type")
    streams = _from_json(body) if kind == "application/json" else _from_protobuf(body, limits)
    return [PushedStream(_with_service_name(labels, limits), entries) for labels, entries in streams]


def decompressed(body: bytes, encoding: str, limits: Limits) -> bytes:
    """Return the plain bytes of a gzip or deflate body. Raises Refusal."""
    stream = zlib.decompressobj(_GZIP if encoding == "gzip" else _RAW_DEFLATE)
    try:
        plain = stream.decompress(body, limits.max_decompressed_bytes + 1)
    except zlib.error as error:
        text = "gzip: invalid header" if encoding == "gzip" else "flate: corrupt input before offset 1"
        raise Refusal(400, text) from error
    if len(plain) > limits.max_decompressed_bytes:
        raise Refusal(413, TOO_LARGE_DECOMPRESSED.format(len(plain), limits.max_decompressed_bytes))
    if not stream.eof:
        raise Refusal(400, "unexpected EOF")
    return plain


def _from_protobuf(body: bytes, limits: Limits) -> list[tuple[Labels, list[Entry]]]:
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limits.max_decompressed_bytes:
            raise Refusal(413, TOO_LARGE_DECOMPRESSED.format(size, limits.max_decompressed_bytes))
        plain = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Refusal(400, "snappy: corrupt input") from error
    try:
        request = PushRequest.FromString(plain)
    except DecodeError as error:
        raise Refusal(400, "unexpected EOF") from error
    shared: dict[Labels, Labels] = {}
    return [
        (_labels(stream.labels), [_protobuf_entry(entry, shared) for entry in stream.entries])
        for stream in request.streams
    ]


def _protobuf_entry(entry: Any, shared: dict[Labels, Labels]) -> Entry:
    metadata: Labels = tuple((pair.name, pair.value) for pair in entry.structuredMetadata)
    at = entry.timestamp
    # Metadata is the same for thousands of lines: one value for all of them.
    return Entry(at.seconds * NANOS + at.nanos, entry.line, shared.setdefault(metadata, metadata))


def _from_json(body: bytes) -> list[tuple[Labels, list[Entry]]]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"readObjectStart: expect {{ or n, but found {body[:1].decode('latin-1')}") from error
    if not isinstance(request, dict):
        raise Refusal(400, f"readObjectStart: expect {{ or n, but found {body[:1].decode('latin-1')}")
    streams = request.get("streams", [])
    if not isinstance(streams, list):
        raise Refusal(400, "Value is array, but can't find closing ']' symbol")
    return [_json_stream(stream) for stream in streams]


def _json_stream(stream: Any) -> tuple[Labels, list[Entry]]:
    if not isinstance(stream, dict) or not isinstance(stream.get("stream", {}), dict):
        raise Refusal(400, _MALFORMED_OBJECT)
    pairs = stream.get("stream", {})
    for value in pairs.values():
        if not isinstance(value, str):
            raise Refusal(400, _MALFORMED_STRING)
    # Loki prints the labels and parses them again, and so finds a bad name.
    labels = _labels(format_labels(tuple(sorted(pairs.items()))))
    return labels, [_json_entry(value) for value in stream.get("values") or [] if value is not None]


def _json_entry(value: Any) -> Entry:
    if not isinstance(value, list):
        raise Refusal(400, "Value is array, but can't find closing ']' symbol")
    if not all(isinstance(item, str) for item in value[:2]):
        raise Refusal(400, _MALFORMED_STRING)
    at, line = (value + ["0", ""][len(value) :])[:2] if len(value) < 2 else value[:2]
    try:
        nanos = int(at)
    except ValueError as error:
        raise Refusal(400, "Value looks like Number/Boolean/None, but can't parse it") from error
    return Entry(nanos, line, _json_metadata(value[2]) if len(value) > 2 else ())


def _json_metadata(value: Any) -> Labels:
    if not isinstance(value, dict):
        raise Refusal(400, _MALFORMED_OBJECT)
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, dict):
            # Nested objects are ignored, but for the form of a query's answer.
            if name == "structuredMetadata":
                found = [(inner, _json_scalar(each)) for inner, each in item.items()]
            continue
        found.append((name, _json_scalar(item)))
    return tuple(sorted(found))


def _json_scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _labels(text: str) -> Labels:
    try:
        return parse_labels(text)
    except BadLabels as error:
        raise Refusal(400, f"couldn't parse labels: {error}") from error


def _with_service_name(labels: Labels, limits: Limits) -> Labels:
    if not limits.service_name_sources or any(name == "service_name" for name, _ in labels):
        return labels
    known = dict(labels)
    name = next((known[source] for source in limits.service_name_sources if source in known), "unknown_service")
    return tuple(sorted((*labels, ("service_name", name))))
