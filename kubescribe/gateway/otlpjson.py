"""
OTLP's logs as JSON: read into values that have the same attributes as the protobuf messages. Pure.

Proto3's JSON mapping with OTLP's exceptions: ids are hexadecimal, 64-bit numbers may be texts, enumerations numbers
(opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding").
"""

import base64
import binascii
from typing import Any

import msgspec

from kubescribe.gateway.errors import BadPush

_Number = int | str


class _Base(msgspec.Struct, rename="camel", gc=False):
    pass


class _Array(_Base):
    values: "list[_Value]" = []


class _Map(_Base):
    values: "list[_Attribute]" = []


class _Value(_Base):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Number | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Map | None = None
    bytes_value: Any = None

    def __post_init__(self) -> None:
        self.int_value = None if self.int_value is None else int(self.int_value)
        self.double_value = None if self.double_value is None else float(self.double_value)
        if self.bytes_value is not None:
            self.bytes_value = base64.b64decode(self.bytes_value)

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - protobuf's name
        """Return the name of the field that is set."""
        return next((name for name in _VALUES if getattr(self, name) is not None), None)


_VALUES = (
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
)


class _Attribute(_Base):
    key: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Resource(_Base):
    attributes: list[_Attribute] = []


class _Scope(_Base):
    name: str = ""
    version: str = ""
    attributes: list[_Attribute] = []
    dropped_attributes_count: int = 0


class _Record(_Base):
    time_unix_nano: _Number = 0
    observed_time_unix_nano: _Number = 0
    severity_number: int = 0
    severity_text: str = ""
    body: _Value = msgspec.field(default_factory=_Value)
    attributes: list[_Attribute] = []
    dropped_attributes_count: int = 0
    flags: int = 0
    trace_id: Any = ""
    span_id: Any = ""
    event_name: str = ""

    def __post_init__(self) -> None:
        self.time_unix_nano = int(self.time_unix_nano)
        self.observed_time_unix_nano = int(self.observed_time_unix_nano)
        self.trace_id, self.span_id = bytes.fromhex(self.trace_id), bytes.fromhex(self.span_id)


class _ScopeLogs(_Base):
    scope: _Scope = msgspec.field(default_factory=_Scope)
    log_records: list[_Record] = []


class _ResourceLogs(_Base):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_logs: list[_ScopeLogs] = []


class _Logs(_Base):
    resource_logs: list[_ResourceLogs] = []


_LOGS = msgspec.json.Decoder(_Logs)


def parse(body: bytes) -> Any:
    """Return *body* as what otlp.streams_of takes. Raises BadPush."""
    try:
        return _LOGS.decode(body)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise BadPush(f"the body is no logs request in JSON: {str(error)[:200]}") from error
