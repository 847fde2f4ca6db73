"""
An export of OpenTelemetry's logs as streams, as pkg/loghttp/push/otlp.go and otlplabels do (grafana/loki@65e30f8).

Of the encodings Loki takes, lz4 is missing here, and of the content types JSON.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import zstandard
from google.protobuf.message import DecodeError

from simulator.loki.decoding import decompressed
from simulator.loki.entries import Entry, Labels, PushedStream, Refusal
from simulator.loki.limits import Limits
from simulator.loki.schema import ExportLogsServiceRequest, Status

INDEX_LABELS = frozenset(
    {
        *("service.name", "service.namespace", "service.instance.id", "deployment.environment"),
        *("deployment.environment.name", "cloud.region", "cloud.availability_zone", "k8s.cluster.name"),
        *("k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "container.name", "k8s.replicaset.name"),
        *("k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name", "k8s.job.name"),
    }
)
"""Resource attributes that become labels by default; all others become structured metadata."""


def decode_export(body: bytes, headers: Mapping[str, str], limits: Limits) -> list[PushedStream]:
    """Return the streams of a request to /otlp/v1/logs. Raises Refusal."""
    encoding = headers.get("Content-Encoding", "")
    if encoding == "gzip":
        body = decompressed(body, encoding, limits)
    elif encoding == "zstd":
        try:
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=limits.max_body_bytes)
        except zstandard.ZstdError as error:
            raise Refusal(400, "invalid input: magic number mismatch") from error
    elif encoding:
        raise Refusal(400, f"unsupported content encoding {encoding}: only gzip, lz4 and zstd are supported")
    kind = headers.get("Content-Type", "")
    if kind != "application/x-protobuf":
        raise Refusal(400, f"content type: {kind} is not supported")
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Refusal(400, "unexpected EOF") from error
    streams: dict[Labels, list[Entry]] = {}
    for resource in request.resource_logs:
        labels, common = _resource(resource.resource, limits)
        entries = streams.setdefault(labels, [])
        for scope in resource.scope_logs:
            shared = (*common, *_scope(scope.scope))
            entries.extend(_entry(record, shared) for record in scope.log_records)
    return [PushedStream(labels, entries) for labels, entries in streams.items() if entries]


def status_body(text: str) -> bytes:
    """Return the body of a refusal: google.rpc.Status in protobuf."""
    return bytes(Status(message=text).SerializeToString())


def _resource(resource: Any, limits: Limits) -> tuple[Labels, Labels]:
    labels: dict[str, str] = {}
    metadata: list[tuple[str, str]] = []
    named = False
    for pair in resource.attributes:
        flat = list(_flat(pair.key, pair.value))
        if pair.key in INDEX_LABELS:
            labels.update(flat)
            named = named or (pair.key == "service.name" and bool(flat and flat[0][1]))
        else:
            metadata.extend(flat)
    if not named and limits.service_name_sources:
        found = (labels[source] for source in limits.service_name_sources if labels.get(source))
        labels["service_name"] = next(found, "unknown_service")
    return tuple(sorted((name, value) for name, value in labels.items() if value)), tuple(metadata)


def _scope(scope: Any) -> list[tuple[str, str]]:
    found = [pair for item in scope.attributes for pair in _flat(item.key, item.value)]
    named = {"scope_name": scope.name, "scope_version": scope.version}
    return [*found, *((name, value) for name, value in named.items() if value)]


def _entry(record: Any, shared: Labels) -> Entry:
    found = [pair for item in record.attributes for pair in _flat(item.key, item.value)]
    if record.time_unix_nano and record.observed_time_unix_nano:
        found.append(("observed_timestamp", str(record.observed_time_unix_nano)))
    values = {
        "severity_number": str(record.severity_number or ""),
        "severity_text": record.severity_text,
        "flags": str(record.flags or ""),
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "event_name": record.event_name,
    }
    found.extend((name, value) for name, value in values.items() if value)
    at = record.time_unix_nano or record.observed_time_unix_nano
    return Entry(at, _text(record.body), (*found, *shared))


def _flat(key: str, value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", f"{prefix}_{key}" if prefix else key)
    if value.WhichOneof("value") == "kvlist_value":
        for pair in value.kvlist_value.values:
            yield from _flat(pair.key, pair.value, name)
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return "" if plain is None else json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    found = getattr(value, kind)
    return found.hex() if isinstance(found, bytes) else found
