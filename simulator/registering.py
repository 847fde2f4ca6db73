"""
What the API server does to an object before it is stored: identity, generation, subresources, field ownership.

Pure functions over decoded objects; where they are stored is `etcd.py`'s business.
"""

from typing import Any

from simulator.managedfields import compare, creation, owned_part
from simulator.managedfields import updated as updated_ownership
from simulator.resource import Resource
from simulator.versions import Object, rendered

BINDING = "binding"
"""The subresource through which a scheduler binds: node, labels and condition in one write, owned by nobody."""

_SERVER_METADATA = ("uid", "creationTimestamp", "resourceVersion")


def created(resource: Resource, obj: Object, manager: str, time: str) -> Object:
    """Return a new object as it is stored; it has its name and uid. Its status is owned by nobody."""
    new = {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}
    metadata = new["metadata"]
    metadata["creationTimestamp"] = time
    if resource.has_generation:
        metadata["generation"] = 1
    part = {key: value for key, value in new.items() if not (resource.has_status and key == "status")}
    metadata["managedFields"] = updated_ownership(
        [],
        creation(resource.plural, part),
        manager=manager,
        api_version=resource.api_version,
        subresource="",
        time=time,
    )
    return new


def updated(
    resource: Resource, old: Object, obj: Object, *, manager: str, subresource: str, time: str
) -> Object | None:
    """Return *obj* as it is stored in the place of *old*; None when the write changes nothing."""
    new = _merged(old, obj, resource, subresource)
    if rendered(new) == rendered(old):
        return None
    if subresource == BINDING:
        return new  # as recorded, it moves no generation either
    metadata = new["metadata"]
    if resource.has_generation and (
        new.get("spec") != old.get("spec")
        or ("deletionTimestamp" in metadata and "deletionTimestamp" not in old["metadata"])
    ):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    metadata["managedFields"] = updated_ownership(
        old["metadata"].get("managedFields", []),
        compare(owned_part(old), owned_part(new)),
        manager=manager,
        api_version=resource.api_version,
        subresource=subresource,
        time=time,
    )
    return new


def named(resource: Resource, obj: Object) -> Object:
    """Return an object with its kind and apiVersion, as it stands alone."""
    return {"kind": resource.kind, "apiVersion": resource.api_version, **obj}


def _merged(old: Object, obj: Object, resource: Resource, subresource: str) -> Object:
    """Return the object to store: what this endpoint may write from *obj*, the rest from *old*."""
    if subresource == "status":
        new = {**old, "status": obj.get("status", {})}
    else:
        new = {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}
        if resource.has_status and "status" in old and subresource != BINDING:
            new["status"] = old["status"]
    before: dict[str, Any] = old["metadata"]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    metadata.update((key, before[key]) for key in _SERVER_METADATA if key in before)
    if "generation" in before:
        metadata["generation"] = before["generation"]
    if "managedFields" in before:
        metadata["managedFields"] = before["managedFields"]
    # Keys keep the order of the object before, or a mere re-ordering would read as a write.
    new["metadata"] = metadata
    return {key: new[key] for key in (*(key for key in old if key in new), *(key for key in new if key not in old))}


def namespace_object(name: str) -> Object:
    """Return a namespace as every cluster has some from the start."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
