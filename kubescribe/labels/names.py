"""
Loki's rules for label names and values, and the text of a stream's labels. Pure.

Names match `[a-zA-Z_][a-zA-Z0-9_]*`, at most 1,024 bytes, values 2,048, at most 15 labels a stream (Loki's
pkg/validation/limits.go); names that begin with two underscores are Prometheus' own. A label that breaks a rule makes
Loki refuse the whole stream, so whatever is sent was made to keep them here.
"""

import re
from collections.abc import Mapping

MAX_NAME_BYTES = 1024
MAX_VALUE_BYTES = 2048
MAX_LABELS = 15

_FOREIGN = re.compile(r"[^a-zA-Z0-9_]")
_NEEDS_QUOTING = re.compile(r'["\\\x00-\x1f\x7f-\U0010ffff]')
_SHORT_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def label_name(name: str) -> str:
    """Return *name* as Loki takes it: `app.kubernetes.io/name` is `app_kubernetes_io_name`; "" for nothing left."""
    kept = _FOREIGN.sub("_", name)[:MAX_NAME_BYTES]
    if kept[:1].isdigit():
        kept = f"_{kept}"[:MAX_NAME_BYTES]
    # Two underscores in front are reserved (Prometheus' data model), and Loki refuses them.
    return re.sub(r"^__+", "_", kept) if kept.strip("_") else ""


def label_value(value: str) -> str:
    """Return *value* in valid UTF-8 of at most MAX_VALUE_BYTES; a cut one ends at a whole character."""
    if value.isascii() and len(value) <= MAX_VALUE_BYTES:
        # The same string as its pod has, which is kept anyway.
        return value
    data = value.encode("utf-8", "replace")
    if len(data) > MAX_VALUE_BYTES:
        data = data[:MAX_VALUE_BYTES]
    return data.decode("utf-8", "ignore")


def selector_text(labels: Mapping[str, str]) -> str:
    """Return *labels* as a push carries them: `{app="x", namespace="n"}`, keys sorted, empty values left out."""
    return "{" + ", ".join(f"{name}={quoted(labels[name])}" for name in sorted(labels) if labels[name]) + "}"


def quoted(value: str) -> str:
    """Return *value* as Go's strconv.Quote does; what it does not escape is only what is printable for certain."""
    if _NEEDS_QUOTING.search(value) is None:
        return f'"{value}"'
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
