"""
The protobuf messages that shippers send, for google.protobuf to check and read.

Declared here by hand, field by field, from Loki's pkg/push/push.proto and opentelemetry-proto's logs/v1/logs.proto, so
that no generated code is needed. The parser is C (upb): it checks a push faster than Python walks over it, takes any
bytes with a message or DecodeError, and costs ~5 MB of memory, which only who runs a gateway pays.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = {
    "double": 1,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "fixed64": 6,
    "fixed32": 7,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE = 11

Fields = Mapping[str, tuple[int, str]]
"""By name: number and kind; a kind that begins with * is repeated, and another than those of _KINDS is a message."""

_PUSH: Mapping[str, Fields] = {
    "Time": {"seconds": (1, "int64"), "nanos": (2, "int32")},
    "Pair": {"name": (1, "string"), "value": (2, "string")},
    "Entry": {"time": (1, "Time"), "line": (2, "string"), "metadata": (3, "*Pair")},
    "Stream": {"labels": (1, "string"), "entries": (2, "*Entry"), "hash": (3, "uint64")},
    "Push": {"streams": (1, "*Stream"), "format": (2, "string")},
}
_LOGS: Mapping[str, Fields] = {
    "Array": {"values": (1, "*Value")},
    "Map": {"values": (1, "*Attribute")},
    "Value": {
        "string_value": (1, "string"),
        "bool_value": (2, "bool"),
        "int_value": (3, "int64"),
        "double_value": (4, "double"),
        "array_value": (5, "Array"),
        "kvlist_value": (6, "Map"),
        "bytes_value": (7, "bytes"),
    },
    "Attribute": {"key": (1, "string"), "value": (2, "Value")},
    "Resource": {"attributes": (1, "*Attribute")},
    "Scope": {
        "name": (1, "string"),
        "version": (2, "string"),
        "attributes": (3, "*Attribute"),
        "dropped_attributes_count": (4, "uint32"),
    },
    "Record": {
        "time_unix_nano": (1, "fixed64"),
        "severity_number": (2, "int32"),
        "severity_text": (3, "string"),
        "body": (5, "Value"),
        "attributes": (6, "*Attribute"),
        "dropped_attributes_count": (7, "uint32"),
        "flags": (8, "fixed32"),
        "trace_id": (9, "bytes"),
        "span_id": (10, "bytes"),
        "observed_time_unix_nano": (11, "fixed64"),
        "event_name": (12, "string"),
    },
    "ScopeLogs": {"scope": (1, "Scope"), "log_records": (2, "*Record")},
    "ResourceLogs": {"resource": (1, "Resource"), "scope_logs": (2, "*ScopeLogs")},
    "Logs": {"resource_logs": (1, "*ResourceLogs")},
}
_ONE_OF = "Value"
"""The message whose fields exclude each other."""


def _classes(package: str, messages: Mapping[str, Fields], *, texts: str = "string") -> dict[str, Any]:
    """Return the classes of *messages*; *texts* is the kind that stands for `string`."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        if name == _ONE_OF:
            message.oneof_decl.add(name="value")
        for field, (number, kind) in fields.items():
            bare = kind.lstrip("*")
            bare = texts if bare == "string" else bare
            made = message.field.add(name=field, number=number, label=3 if kind.startswith("*") else 1)
            made.type = descriptor_pb2.FieldDescriptorProto.Type.ValueType(_KINDS.get(bare, _MESSAGE))
            if bare not in _KINDS:
                made.type_name = f".{package}.{bare}"
            if name == _ONE_OF:
                made.oneof_index = 0
    # A pool of our own: whatever else a process declares under these names does not clash.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


_strict, _loose = _classes("push", _PUSH), _classes("loose", _PUSH, texts="bytes")
Push: Any = _strict["Push"]
Stream: Any = _strict["Stream"]
LoosePush: Any = _loose["Push"]
"""The same bytes, with texts that need not be UTF-8."""
Logs: Any = _classes("logs", _LOGS)["Logs"]
LooseLogs: Any = _classes("looselogs", _LOGS, texts="bytes")["Logs"]
