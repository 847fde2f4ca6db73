"""
Field ownership: `metadata.managedFields` as the API server keeps it (structured merge, Update operations).

A path is a tuple of the elements of `fieldsV1` ("f:spec", 'k:{"name":"app"}', …); a set of paths is what one
manager owns. The rules are those of kubernetes-sigs/structured-merge-diff `merge/update.go` and of
apimachinery `managedfields/internal`. Server-side apply (operation Apply) is not pretended.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]

_LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "addresses": ("type",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "protocol"),
    "resourceClaims": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
    "webhooks": ("name",),
}
"""Lists that are maps by key (`+listType=map`); every other list is one atomic value, `finalizers` a set."""

_SERVICE_PORT = ("port", "protocol")

_ATOMIC = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "involvedObject",
        "labelSelector",
        "namespaceSelector",
        "nodeSelector",
        "objectSelector",
        "podSelector",
        "regarding",
        "related",
        "resourceFieldRef",
        "roleRef",
        "scaleTargetRef",
        "secretKeyRef",
        "selector",
        "targetRef",
    },
)
"""Maps and structs that are one value (`+structType=atomic`, `+mapType=atomic`)."""

_STRUCTS = frozenset(
    {
        "containers",
        "daemonEndpoints",
        "jobTemplate",
        "loadBalancer",
        "metadata",
        "nodeInfo",
        "names",
        "resources",
        "source",
        "spec",
        "status",
        "strategy",
        "template",
        "updateStrategy",
    },
)
"""Fields whose Go type is never absent outside a list: a writer owns what is in them, not the field itself."""

_UNOWNED_METADATA = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    },
)
"""What the server strips from every manager (fieldmanager/stripmeta.go)."""


@dataclass(slots=True)
class Comparison:
    """Paths that a write added, modified and removed."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def touched(self) -> set[Path]:
        """What the writer owns by this write."""
        return self.added | self.modified


def owned_part(obj: Object) -> Object:
    """Return the part of an object that managers can own."""
    part = {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}
    part["metadata"] = {key: value for key, value in obj.get("metadata", {}).items() if key not in _UNOWNED_METADATA}
    return part


def compare(old: Object, new: Object) -> Comparison:
    """Compare two objects (as `owned_part` gives them) path by path."""
    result = Comparison()
    _compare_maps(old, new, (), result)
    return result


def updated(
    entries: list[Object],
    comparison: Comparison,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    time: str,
) -> list[Object]:
    """
    Return the managedFields after one Update by *manager*.

    The time of an entry moves only when its manager added or modified something: whose fields were merely taken
    or removed keeps its time.
    """
    touched, gone = comparison.touched, comparison.removed
    kept: list[Object] = []
    own: set[Path] = set()
    for entry in entries:
        paths = decoded(entry["fieldsV1"])
        if (
            entry["manager"] == manager
            and entry["apiVersion"] == api_version
            and entry.get("subresource", "") == subresource
            and entry["operation"] == "Update"
        ):
            own = paths - gone
            if not touched and own:
                kept.append({**entry, "fieldsV1": encoded(own)})
            continue
        # A member that the write only made deeper ("." of a map) stays shared; a changed leaf changes hands.
        left = paths - comparison.modified - gone
        if left:
            kept.append(entry if left == paths else {**entry, "fieldsV1": encoded(left)})
    if touched:
        entry = {
            "manager": manager,
            "operation": "Update",
            "apiVersion": api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encoded(own | touched),
        }
        if subresource:
            entry["subresource"] = subresource
        kept.append(entry)
    # The order of the real encoder (sortEncodedManagedFields).
    return sorted(
        kept,
        key=lambda e: (e["operation"], e["time"], e["manager"], e["apiVersion"], e.get("subresource", "")),
    )


def encoded(paths: set[Path]) -> Object:
    """Return `fieldsV1` of a set of paths; keys sorted as the server sorts them."""
    root: Object = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return _pruned(root)


def decoded(fields: Object) -> set[Path]:
    """Return the set of paths of a `fieldsV1`."""
    return set(_members(fields, ()))


def _pruned(node: Object) -> Object:
    """Drop the "." of leaves: a leaf is `{}`."""
    if len(node) == 1 and "." in node:
        return {}
    return {key: value if key == "." else _pruned(value) for key, value in sorted(node.items())}


def _members(node: Object, path: Path) -> Iterator[Path]:
    for key, value in node.items():
        if key == ".":
            yield path
        elif value:
            yield from _members(value, (*path, key))
        else:
            yield (*path, key)


def _compare_maps(old: Object, new: Object, path: Path, result: Comparison) -> None:
    for key, value in new.items():
        _compare(key, old.get(key), value, (*path, f"f:{key}"), result)
    for key, value in old.items():
        if key not in new and value is not None:
            result.removed.update(_paths(key, value, (*path, f"f:{key}")))


def _compare(name: str, old: Any, new: Any, path: Path, result: Comparison) -> None:
    if new is None and old is None:
        return  # a Go nil that prints as null: nobody's
    if old is None:
        in_list = any(element.startswith("k:") for element in path)
        result.added.update(_paths(name, new, path, skip_structs=not in_list))
    elif new is None:
        result.removed.update(_paths(name, old, path))
    elif isinstance(old, dict) and isinstance(new, dict) and name not in _ATOMIC:
        _compare_maps(old, new, path, result)
    elif (items := _keyed(name, new)) is not None and (before := _keyed(name, old)) is not None:
        _compare_items(before, items, path, result)
    elif old != new:
        result.modified.add(path)


def _compare_items(old: Object, new: Object, path: Path, result: Comparison) -> None:
    for key, value in new.items():
        if key not in old:
            result.added.update(_paths("", value, (*path, key)))
        elif isinstance(value, dict):
            _compare_maps(old[key], value, (*path, key), result)
    for key, value in old.items():
        if key not in new:
            result.removed.update(_paths("", value, (*path, key)))


def _paths(name: str, value: Any, path: Path, *, skip_structs: bool = False) -> Iterator[Path]:
    """Yield the paths of a value that was not there: its own, and those of everything in it."""
    if isinstance(value, dict) and value and name not in _ATOMIC:
        if not (skip_structs and name in _STRUCTS):
            yield path
        for key, item in value.items():
            yield from _paths(key, item, (*path, f"f:{key}"), skip_structs=skip_structs)
        return
    items = _keyed(name, value)
    if not items:
        if not (skip_structs and name in {"metadata", "spec", "status"}):
            yield path
        return
    if not (skip_structs and name in _STRUCTS):
        yield path
    for key, item in items.items():
        yield from _paths("", item, (*path, key))


def _keyed(name: str, value: Any) -> Object | None:
    """Return the items of an associative list by their path element; None when the list is atomic."""
    if not isinstance(value, list):
        return None
    if name == "finalizers":
        return {f"v:{json.dumps(item)}": item for item in value}
    keys = _LIST_KEYS.get(name)
    if keys is None or not all(isinstance(item, dict) for item in value):
        return None
    if name == "ports" and value and "containerPort" not in value[0]:
        keys = _SERVICE_PORT
    if not all(keys[0] in item for item in value):
        return None
    return {
        "k:" + json.dumps({key: item[key] for key in sorted(keys) if key in item}, separators=(",", ":")): item
        for item in value
    }
