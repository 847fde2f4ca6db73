"""
OTLP's logs → streams, as Loki's own /otlp/v1/logs makes them with its default configuration. Pure.

Resource attributes of INDEXED become labels of the stream; other resource attributes, those of the scope and of the
record, and the record's own fields become structured metadata, in Loki's order and under its names
(pkg/loghttp/push/otlplabels). So what went to Loki directly before looks the same when it comes through us. What Loki
adds by itself to any push (service_name where there is none, detected_level) it still adds.
"""

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from kubescribe.gateway.entries import clamped
from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.messages import Logs, LooseLogs
from kubescribe.gateway.streams import Gathering, Incoming
from kubescribe.labels.clues import CONTAINER, CONTAINER_ID, NAMESPACE, POD, POD_UID, Clue, clue_of, clue_of_path
from kubescribe.labels.names import selector_text
from kubescribe.loki.encoding import encode_entry, encode_metadata

INDEXED = frozenset(
    {
        "service.name",
        "service.namespace",
        "service.instance.id",
        "deployment.environment",
        "deployment.environment.name",
        "cloud.region",
        "cloud.availability_zone",
        "k8s.cluster.name",
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.container.name",
        "container.name",
        "k8s.replicaset.name",
        "k8s.deployment.name",
        "k8s.statefulset.name",
        "k8s.daemonset.name",
        "k8s.cronjob.name",
        "k8s.job.name",
    }
)
"""distributor.otlp.default_resource_attributes_as_index_labels."""

KUBERNETES = "kubernetes"
"""The map that Fluent Bit's and Fluentd's filters make: an attribute of a record, or a part of a body that is a map."""

_TELLING = {
    name: name.replace(".", "_")
    for name in (
        "log.file.path",  # what the collector's filelog receiver tells without the container operator
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "k8s.container.name",
        "k8s.container.restart_count",
        "container.id",
    )
}
"""A record's own attributes that tell of its container, and the labels that clue_of knows them as."""

_PATH = _TELLING["log.file.path"]

_IN_MAP = frozenset(NAMESPACE + POD + POD_UID + CONTAINER + CONTAINER_ID)

_DEEPEST = 32
_FOREIGN = re.compile(r"[^a-zA-Z0-9]+")
Pairs = list[tuple[str, str]]
_TO_JSON = msgspec.json.Encoder().encode


def parse(body: bytes) -> Any:
    """Return *body*, protobuf, as a message for streams_of. Raises BadPush."""
    try:
        return Logs.FromString(body)
    except DecodeError as error:
        try:
            return LooseLogs.FromString(body)
        except DecodeError:
            raise BadPush(f"the body is no logs request in protobuf: {error}") from error


def streams_of(logs: Any, *, now_ns: int) -> Iterator[Incoming]:
    """
    Yield the streams of *logs*, a long one in pieces; a record without a time is of *now_ns*. Raises BadPush.

    *logs* is a message, or what has the same attributes.
    """
    gathering = Gathering()
    clues: dict[tuple[tuple[str, str], ...], Clue | None] = {}
    for of_resource in logs.resource_logs:
        labels, metadata = _split(of_resource.resource.attributes)
        clue = clue_of({**dict(metadata), **labels})
        text = selector_text(labels)
        for of_scope in of_resource.scope_logs:
            shared = encode_metadata_pairs([*metadata, *_scope(of_scope.scope)])
            for record in of_scope.log_records:
                at_ns = clamped(record.time_unix_nano or record.observed_time_unix_nano or now_ns)
                line = text_of(record.body).encode("utf-8", "replace")
                entry = encode_entry(at_ns, line, encode_metadata_pairs(_record(record)) + shared)
                if (piece := gathering.add(text, _clue(clue, record, clues), at_ns, entry)) is not None:
                    yield piece
    yield from gathering.rest()


def encode_metadata_pairs(pairs: Pairs) -> bytes:
    """Return *pairs* as structured metadata; names may repeat, as they may at Loki."""
    return b"".join(encode_metadata({name: value}) for name, value in pairs)


def text_of(value: Any) -> str:
    """Return an attribute's value or a record's body as text, as pdata's AsString does."""
    kind = value.WhichOneof("value")
    if kind in ("array_value", "kvlist_value"):
        return _TO_JSON(_plain(value)).decode()
    plain = _plain(value)
    match plain:
        case bool():
            return "true" if plain else "false"
        case float():
            return _float(plain)
        case None:
            return ""
        case _:
            return str(plain)


def label_of(name: str) -> str:
    """Return *name* as otlptranslator.LabelNamer writes it. Raises BadPush for one of which nothing is left."""
    is_reserved = len(name) >= 4 and name.startswith("__") and name.endswith("__")
    made = _FOREIGN.sub("_", name[2:-2] if is_reserved else name)
    made = f"__{made}__" if is_reserved else made
    if made[:1].isdigit():
        made = f"key_{made}"
    if not made.strip("_"):
        raise BadPush(f"{name[:100]!r} is no name of an attribute")
    return made


def _split(attributes: Iterable[Any]) -> tuple[dict[str, str], Pairs]:
    labels: dict[str, str] = {}
    metadata: Pairs = []
    for attribute in attributes:
        pairs = list(_named(attribute, "", 0))
        if _str(attribute.key) in INDEXED:
            labels.update(pairs)
        else:
            metadata += pairs
    return labels, metadata


def _named(attribute: Any, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the label or labels of *attribute*: those of a map have the map's name in front."""
    key = _str(attribute.key)
    name = label_of(f"{prefix}_{key}" if prefix else key)
    if attribute.value.WhichOneof("value") == "kvlist_value" and depth < _DEEPEST:
        for inner in attribute.value.kvlist_value.values:
            yield from _named(inner, name, depth + 1)
    else:
        yield name, text_of(attribute.value)


def _scope(scope: Any) -> Pairs:
    pairs = [pair for attribute in scope.attributes for pair in _named(attribute, "", 0)]
    if scope.name:
        pairs.append(("scope_name", _str(scope.name)))
    if scope.version:
        pairs.append(("scope_version", _str(scope.version)))
    if scope.dropped_attributes_count:
        pairs.append(("scope_dropped_attributes_count", str(scope.dropped_attributes_count)))
    return pairs


def _record(record: Any) -> Pairs:
    event = _str(record.event_name)
    pairs = [
        pair
        for attribute in record.attributes
        if not (event and _str(attribute.key) == "event_name")
        for pair in _named(attribute, "", 0)
    ]
    if record.time_unix_nano and record.observed_time_unix_nano:
        pairs.append(("observed_timestamp", str(record.observed_time_unix_nano)))
    told = (
        ("severity_number", record.severity_number),
        ("severity_text", _str(record.severity_text)),
        ("dropped_attributes_count", record.dropped_attributes_count),
        ("flags", record.flags),
        ("trace_id", record.trace_id.hex() if any(record.trace_id) else ""),
        ("span_id", record.span_id.hex() if any(record.span_id) else ""),
        ("event_name", event),
    )
    pairs += [(name, str(value)) for name, value in told if value]
    return pairs


def _clue(of_resource: Clue, record: Any, known: dict[tuple[tuple[str, str], ...], Clue | None]) -> Clue | None:
    """
    Return what tells of the container of *record*; what records told before is *known*.

    Who tells a pod first is believed: the resource, the path of the file and `k8s.…` of the record, a map `kubernetes`
    among its attributes, one in its body. The later, the likelier a program wrote it itself.
    """
    if of_resource.names_a_pod:
        return of_resource
    told: tuple[tuple[str, str], ...] = ()
    for tell in (_own, _in_attributes, _in_body):
        told += tuple(tell(record))
        if told and told not in known:
            known[told] = _clue_told(dict(told))
        if told and (clue := known[told]) is not None:
            return clue
    return None


def _clue_told(told: Mapping[str, str]) -> Clue | None:
    clue = clue_of(told)
    path = clue_of_path(told.get(_PATH, ""))
    if path.names_a_pod:
        # Whoever read the file knows it; the rest may come out of a line that was JSON.
        container, restart = path.container or clue.container, clue.restart if path.restart is None else path.restart
        clue = path._replace(container=container, restart=restart)
    return clue if clue.names_a_pod else None


def _own(record: Any) -> Iterator[tuple[str, str]]:
    for attribute in record.attributes:
        if (key := _str(attribute.key)) in _TELLING:
            yield _TELLING[key], text_of(attribute.value)


def _in_attributes(record: Any) -> Iterator[tuple[str, str]]:
    return _told_by_maps(record.attributes)


def _in_body(record: Any) -> Iterator[tuple[str, str]]:
    is_map = record.body.WhichOneof("value") == "kvlist_value"
    return _told_by_maps(record.body.kvlist_value.values) if is_map else iter(())


def _told_by_maps(parts: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield what the last map `kubernetes` of *parts* tells: Fluent Bit adds it behind what it took out of a line."""
    maps = [part.value for part in parts if _str(part.key) == KUBERNETES]
    if maps and maps[-1].WhichOneof("value") == "kvlist_value":
        for part in maps[-1].kvlist_value.values:
            if (name := f"{KUBERNETES}_{_str(part.key)}") in _IN_MAP:
                yield name, text_of(part.value)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return what *value* holds as JSON has it."""
    kind = value.WhichOneof("value")
    if kind is None or depth > _DEEPEST:
        return None
    plain: Any = getattr(value, kind)
    match kind:
        case "array_value":
            plain = [_plain(each, depth + 1) for each in plain.values]
        case "kvlist_value":
            plain = {_str(each.key): _plain(each.value, depth + 1) for each in sorted(plain.values, key=_key)}
        case "bytes_value":
            plain = base64.b64encode(plain).decode()
        case "string_value":
            plain = _str(plain)
        case "double_value" if depth and plain.is_integer() and abs(plain) < 1e15:
            plain = int(plain)  # Go writes no fraction where there is none
    return plain


def _key(attribute: Any) -> str:
    return _str(attribute.key)


def _str(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _float(number: float) -> str:
    """Return *number* as ECMAScript writes it, which is what Go's encoding/json and pdata do."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number and not 1e-6 <= abs(number) < 1e21:
        digits, _, exponent = repr(number).partition("e")
        return f"{digits}e{int(exponent):+d}"
    return format(Decimal(repr(number)), "f").removesuffix(".0")
