"""
The protobuf layouts of what is pushed, built at run time for the official google.protobuf.

Loki's own is pkg/push/push.proto (grafana/loki@65e30f8); the other is OpenTelemetry's logs service, as far as Loki
reads it (opentelemetry-proto v1, collector/logs, logs, resource, common). Field numbers are the contract.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

Fields = Sequence[tuple[str, int, str]]
"""Name, number, and type; a type in brackets is repeated, one with a capital is a message."""

_TYPES = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "fixed32": descriptor_pb2.FieldDescriptorProto.TYPE_FIXED32,
    "fixed64": descriptor_pb2.FieldDescriptorProto.TYPE_FIXED64,
}

_PUSH: Mapping[str, Fields] = {
    "PushRequest": [("streams", 1, "[StreamAdapter]"), ("format", 2, "string")],
    "StreamAdapter": [("labels", 1, "string"), ("entries", 2, "[EntryAdapter]"), ("hash", 3, "uint64")],
    "LabelPairAdapter": [("name", 1, "string"), ("value", 2, "string")],
    "EntryAdapter": [
        ("timestamp", 1, ".google.protobuf.Timestamp"),
        ("line", 2, "string"),
        ("structuredMetadata", 3, "[LabelPairAdapter]"),
        ("parsed", 4, "[LabelPairAdapter]"),
    ],
}

_OTLP: Mapping[str, Fields] = {
    "ExportLogsServiceRequest": [("resource_logs", 1, "[ResourceLogs]")],
    "ResourceLogs": [("resource", 1, "Resource"), ("scope_logs", 2, "[ScopeLogs]"), ("schema_url", 3, "string")],
    "Resource": [("attributes", 1, "[KeyValue]"), ("dropped_attributes_count", 2, "uint32")],
    "ScopeLogs": [("scope", 1, "Scope"), ("log_records", 2, "[LogRecord]"), ("schema_url", 3, "string")],
    "Scope": [
        ("name", 1, "string"),
        ("version", 2, "string"),
        ("attributes", 3, "[KeyValue]"),
        ("dropped_attributes_count", 4, "uint32"),
    ],
    "LogRecord": [
        ("time_unix_nano", 1, "fixed64"),
        ("severity_number", 2, "int32"),
        ("severity_text", 3, "string"),
        ("body", 5, "AnyValue"),
        ("attributes", 6, "[KeyValue]"),
        ("dropped_attributes_count", 7, "uint32"),
        ("flags", 8, "fixed32"),
        ("trace_id", 9, "bytes"),
        ("span_id", 10, "bytes"),
        ("observed_time_unix_nano", 11, "fixed64"),
        ("event_name", 12, "string"),
    ],
    "AnyValue": [
        ("string_value", 1, "|string"),
        ("bool_value", 2, "|bool"),
        ("int_value", 3, "|int64"),
        ("double_value", 4, "|double"),
        ("array_value", 5, "|ArrayValue"),
        ("kvlist_value", 6, "|KeyValueList"),
        ("bytes_value", 7, "|bytes"),
    ],
    "ArrayValue": [("values", 1, "[AnyValue]")],
    "KeyValueList": [("values", 1, "[KeyValue]")],
    "KeyValue": [("key", 1, "string"), ("value", 2, "AnyValue")],
    "Status": [("code", 1, "int32"), ("message", 2, "string")],
}


def _built(package: str, messages: Mapping[str, Fields]) -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            _add_field(message, field, number, kind, package)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _add_field(message: Any, name: str, number: int, kind: str, package: str) -> None:
    bare = kind.strip("[]|")
    field = message.field.add(name=name, number=number, json_name=name)
    repeated = kind.startswith("[")
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind.startswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
    if bare in _TYPES:
        field.type = _TYPES[bare]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = bare if bare.startswith(".") else f".{package}.{bare}"


_push = _built("logproto", _PUSH)
_otlp = _built("otlp", _OTLP)

PushRequest: Any = _push["PushRequest"]
"""Loki's push request."""

ExportLogsServiceRequest: Any = _otlp["ExportLogsServiceRequest"]
"""OpenTelemetry's export of logs."""

Status: Any = _otlp["Status"]
"""google.rpc.Status, the answer to an export that was refused."""
