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


_TIMES = frozenset({"time", "startTime"})
_ODD_NAME = 'a"} 1\nb\\'


def _named(document: Any, name: str) -> Any:
    """Return *document* with one pod and one container of another name, and the rest as they are."""
    first, *rest = document["pods"]
    named = {**first, "podRef": {**first["podRef"], "name": name}}
    second = [
        {**pod, "containers": [{**it, "name": name} for it in pod["containers"][:1]] + pod["containers"]}
        for pod in rest[:1]
    ]
    return {**document, "pods": [named, *second, *rest[1:]]}


def _timed(value: Any, time: str) -> Any:
    if isinstance(value, dict):
        return {key: time if key in _TIMES else _timed(it, time) for key, it in value.items()}
    return [_timed(it, time) for it in value] if isinstance(value, list) else value


def _crowded(document: Any) -> Any:
    """Return *document* with a thousand containers in each pod."""
    return {
        **document,
        "pods": [
            {
                **pod,
                "containers": [{**it, "name": f"{it['name']}-{n}"} for n in range(1000) for it in pod["containers"]],
            }
            for pod in document["pods"]
        ],
    }


def _bytes(change: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    return lambda document: msgspec.json.encode(_changed(document, change))


NONSENSE: Mapping[str, Callable[[Any], bytes]] = {
    "negative": _bytes(lambda value: -value - 1),
    "huge": lambda document: msgspec.json.encode(_changed(document, lambda _: "#")).replace(b'"#"', b"9" * 40),
    "nan": lambda document: msgspec.json.encode(_changed(document, lambda _: "#")).replace(b'"#"', b"NaN"),
    "infinite": lambda document: msgspec.json.encode(_changed(document, lambda _: "#")).replace(b'"#"', b"1e400"),
    "future": lambda document: msgspec.json.encode(_timed(document, "9999-12-31T23:59:59Z")),
    "ancient": lambda document: msgspec.json.encode(_timed(document, "0001-01-01T00:00:00Z")),
    "names": lambda document: msgspec.json.encode(_named(document, _ODD_NAME)),
    "latin": lambda document: msgspec.json.encode(_named(document, "#")).replace(b'"#"', b'"\xff\xfe"'),
    "crowd": lambda document: msgspec.json.encode(_crowded(document)),
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
