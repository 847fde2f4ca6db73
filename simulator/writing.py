"""Writes over HTTP: create, update, merge-patch and delete, for clients that keep a Lease or edit a ConfigMap."""

from collections.abc import Mapping
from typing import Any

import msgspec

from simulator import statuses
from simulator.errors import StoreRefused
from simulator.etcd import Etcd
from simulator.requests import ApiPath
from simulator.resource import Resource
from simulator.versions import Object


def write(
    etcd: Etcd, resource: Resource, path: ApiPath, verb: str, *, body: bytes, query: Mapping[str, str]
) -> tuple[Object, int]:
    """Carry out a write and return the answer with its HTTP code; ApiError when it is refused."""
    manager = query.get("fieldManager", "unknown")
    try:
        if verb == "delete":
            return etcd.delete(resource, path.namespace, path.name), 200
        obj = _object(body, path)
        if verb == "create":
            return etcd.create(resource, obj, manager=manager), 201
        present = etcd.get(resource, path.namespace, path.name)
        if present is None:
            raise statuses.not_found(path.group, path.plural, path.name)
        if verb == "patch":
            obj = merged(present, obj)
        expected = obj.get("metadata", {}).get("resourceVersion")
        if expected and expected != present["metadata"]["resourceVersion"]:
            raise _conflict(path)
        obj["metadata"]["name"] = path.name
        return etcd.update(resource, obj, manager=manager, subresource=path.subresource), 200
    except StoreRefused as error:
        refusal = statuses.not_found if error.is_missing else statuses.already_exists
        raise refusal(path.group, path.plural, path.name) from error
    finally:
        etcd.flush()  # what is answered is on disk


def merged(present: Any, patch: Any) -> Any:
    """Return a JSON merge patch (RFC 7386) applied to *present*."""
    if not isinstance(patch, dict):
        return patch
    result = dict(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _object(body: bytes, path: ApiPath) -> Object:
    try:
        obj = msgspec.json.decode(body)
        obj.setdefault("metadata", {})
    except (msgspec.DecodeError, AttributeError) as error:
        raise statuses.bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
    if path.namespace:
        obj["metadata"].setdefault("namespace", path.namespace)
    return dict(obj)


def _conflict(path: ApiPath) -> statuses.ApiError:
    plural = f"{path.plural}.{path.group}" if path.group else path.plural
    return statuses.status(
        409,
        f'Operation cannot be fulfilled on {plural} "{path.name}": the object has been modified; please apply your '
        "changes to the latest version and try again",
        "Conflict",
        details={
            key: value for key, value in (("name", path.name), ("group", path.group), ("kind", path.plural)) if value
        },
    )
