"""
Field ownership: `metadata.managedFields` as the API server keeps it (structured merge, Update operations).

A path is a tuple of the elements of `fieldsV1` ("f:spec", 'k:{"name":"app"}', …); a set of paths is what one
manager owns. The rules are those of kubernetes-sigs/structured-merge-diff `merge/update.go` and of
apimachinery `managedfields/internal`. Server-side apply (operation Apply) is not pretended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.fieldschema import (
    ADDED_LATE,
    ATOMIC,
    ATOMIC_ITEMS,
    STRUCTS,
    TOLERATIONS,
    UNOWNED_METADATA,
    Object,
    Path,
    keyed_items,
)


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
    part["metadata"] = {key: value for key, value in obj.get("metadata", {}).items() if key not in UNOWNED_METADATA}
    return part


def creation(plural: str, obj: Object) -> Comparison:
    """Return what the creator of an object owns; a status is not the creator's."""
    comparison = compare({"metadata": {}, "spec": {}}, owned_part(obj))
    late = [path for path in ADDED_LATE.get(plural, ()) if path != TOLERATIONS or _are_default(obj)]
    if not late:
        return comparison
    prefixes, lengths = set(late), {len(prefix) for prefix in late}
    left = {path for path in comparison.added if not any(path[:length] in prefixes for length in lengths)}
    parents = {prefix[:-1] for prefix in late}
    comparison.added = {
        path
        for path in left
        if path not in parents or any(other[: len(path)] == path and other != path for other in left)
    }
    return comparison


def _are_default(pod: Object) -> bool:
    """Tell whether a pod has only the tolerations that every pod is given (DefaultTolerationSeconds)."""
    tolerations = pod.get("spec", {}).get("tolerations", ())
    return all(toleration.get("tolerationSeconds") == 300 for toleration in tolerations)


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
    moved = {path[0] for path in (*comparison.modified, *gone)}
    for entry in entries:
        is_own = (
            entry["manager"] == manager
            and entry["apiVersion"] == api_version
            and entry.get("subresource", "") == subresource
            and entry["operation"] == "Update"
        )
        if not is_own and moved.isdisjoint(entry["fieldsV1"]):
            kept.append(entry)  # of another branch of the object: it need not be decoded
            continue
        paths = decoded(entry["fieldsV1"])
        if is_own:
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
        key=lambda e: (e["operation"], e.get("time", ""), e["manager"], e["apiVersion"], e.get("subresource", "")),
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
    """Drop the "." of leaves: a leaf is `{}`. The keys are sorted already, as the paths were."""
    if len(node) == 1 and "." in node:
        return {}
    return {key: value if key == "." else _pruned(value) for key, value in node.items()}


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
            _note(result.removed, key, value, (*path, f"f:{key}"))


def _compare(name: str, old: Any, new: Any, path: Path, result: Comparison) -> None:
    if new is old or new == old:
        return  # also a Go nil that prints as null, which is nobody's
    if old is None:
        in_list = any(element.startswith("k:") for element in path)
        if new == "" and not in_list:
            return  # Go's zero value without omitempty, as it was before
        _note(result.added, name, new, path, skip_structs=not in_list)
    elif new is None:
        _note(result.removed, name, old, path)
    elif isinstance(old, dict) and isinstance(new, dict) and name not in ATOMIC:
        _compare_maps(old, new, path, result)
    elif (items := keyed_items(name, new, path)) is not None and (before := keyed_items(name, old, path)) is not None:
        _compare_items(name, before, items, path, result)
    elif old != new:
        result.modified.add(path)


def _compare_items(name: str, old: Object, new: Object, path: Path, result: Comparison) -> None:
    for key, value in new.items():
        if key not in old:
            _note_item(name, value, (*path, key), result.added)
        elif name in ATOMIC_ITEMS and old[key] != value:
            result.modified.add((*path, key))
        elif isinstance(value, dict):
            _compare_maps(old[key], value, (*path, key), result)
    for key, value in old.items():
        if key not in new:
            _note_item(name, value, (*path, key), result.removed)


def _note_item(name: str, value: Any, path: Path, paths: set[Path]) -> None:
    if name in ATOMIC_ITEMS:
        paths.add(path)
    else:
        _note(paths, "", value, path)


def _note(paths: set[Path], name: str, value: Any, path: Path, *, skip_structs: bool = False) -> None:
    """Add the paths of a value that was not there: its own, and those of everything in it."""
    if isinstance(value, dict) and value and name not in ATOMIC:
        if not (skip_structs and name in STRUCTS):
            paths.add(path)
        for key, item in value.items():
            _note(paths, key, item, (*path, f"f:{key}"), skip_structs=skip_structs)
        return
    items = keyed_items(name, value, path) if isinstance(value, list) else None
    if not items:
        if not (skip_structs and name in {"metadata", "spec", "status"}):
            paths.add(path)
        return
    if not (skip_structs and name in STRUCTS):
        paths.add(path)
    for key, item in items.items():
        _note_item(name, item, (*path, key), paths)
