"""What a broken kubelet says: the same document with numbers that cannot be, or no document at all. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_NUMBERS = frozenset(
    {
        *("usageNanoCores", "usageCoreNanoSeconds", "workingSetBytes", "availableBytes", "capacityBytes", "usedBytes"),
        *("inodes", "inodesFree", "rxBytes", "txBytes"),
    }
)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: change(it) if key in _NUMBERS else _changed(it, change) for key, it in value.items()}
    return [_changed(it, change) for it in value] if isinstance(value, list) else value


def _bytes(change: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    return lambda document: msgspec.json.encode(_changed(document, change))


NONSENSE: Mapping[str, Callable[[Any], bytes]] = {
    "negative": _bytes(lambda value: -value - 1),
    "huge": lambda document: msgspec.json.encode(_changed(document, lambda _: "#")).replace(b'"#"', b"9" * 40),
    "nan": lambda document: msgspec.json.encode(_changed(document, lambda _: "#")).replace(b'"#"', b"NaN"),
    "text": _bytes(lambda _: "many"),
    "null": _bytes(lambda _: None),
    "backwards": _bytes(lambda value: value // 2),
    "missing": lambda document: msgspec.json.encode({"node": {}, "pods": [{}, {"podRef": {}}, *document["pods"][:1]]}),
    "empty": lambda _: b"{}",
    "truncated": lambda document: msgspec.json.encode(document)[:-20],
    "html": lambda _: b"<html><body>502 Bad Gateway</body></html>",
    "endless": lambda document: msgspec.json.encode({**document, "padding": "x" * (20 * 2**20)}),
}
"""By the word that `spoil-usage` takes; `hang` and `forbidden` besides are no documents."""
