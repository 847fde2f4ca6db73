"""
Writes over HTTP: create, update, merge-patch and delete, for clients that keep a Lease or edit a ConfigMap.

The order of the refusals is that of the real registry (generic/registry/store.go): what cannot be read, what the
path contradicts, a uid that is not the object's, a version that is not the latest, what validation does not accept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from simulator import leases, statuses
from simulator.errors import StoreRefused
from simulator.etcd import Etcd
from simulator.requests import ApiPath
from simulator.resource import Resource
from simulator.versions import Object

MANAGER_BYTES = 128
"""A field manager that is taken from the User-Agent is cut after this."""

CHECKS: Mapping[str, Callable[[Object], Object]] = {"leases": leases.checked}
"""Plural → what reads and validates an object that is sent, and returns it as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRequest:
    """One write as it was asked for."""

    resource: Resource
    path: ApiPath
    verb: str
    body: bytes
    query: Mapping[str, str]
    user_agent: str = ""

    @property
    def manager(self) -> str:
        """The field manager: named, or the User-Agent's program (managedfields, prefixFromUserAgent)."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0][:MANAGER_BYTES] or "unknown"


def write(etcd: Etcd, asked: WriteRequest) -> tuple[Object, int]:
    """Carry out a write and return the answer with its HTTP code; ApiError when it is refused."""
    path = asked.path
    try:
        if asked.verb == "delete":
            return _delete(etcd, asked), 200
        if asked.verb == "create":
            return _create(etcd, asked, _object(asked.body, path)), 201
        return _update(etcd, asked)
    except StoreRefused as error:
        refusal = statuses.not_found if error.is_missing else statuses.already_exists
        raise refusal(path.group, path.plural, _name(asked)) from error
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


def _create(etcd: Etcd, asked: WriteRequest, obj: Object) -> Object:
    metadata = obj["metadata"]
    if not metadata.get("name") and not metadata.get("generateName"):
        missing = statuses.Complaint("metadata.name", "Required value", "", "name or generateName is required")
        raise statuses.invalid_object(asked.path.group, asked.resource.kind, "", [missing])
    if metadata.get("resourceVersion"):
        raise statuses.status(500, "resourceVersion should not be set on objects to be created")
    return etcd.create(asked.resource, _checked(asked, obj), manager=asked.manager)


def _update(etcd: Etcd, asked: WriteRequest) -> tuple[Object, int]:
    resource, path = asked.resource, asked.path
    present = etcd.get(resource, path.namespace, path.name)
    obj = _object(asked.body, path)
    if asked.verb == "patch" and present is not None:
        obj = merged(present, obj)
    metadata = obj["metadata"]
    name = metadata.setdefault("name", path.name)
    if name != path.name:
        raise statuses.bad_request(f"the name of the object ({name}) does not match the name on the URL ({path.name})")
    creates = asked.verb == "update" and resource.creates_on_update
    if present is None and not creates:
        raise statuses.not_found(path.group, path.plural, path.name)
    uid, wanted = "" if present is None else present["metadata"]["uid"], metadata.get("uid")
    if wanted and wanted != uid:
        raise statuses.conflict(path.group, path.plural, path.name, statuses.wrong_uid(_key(path), wanted, uid))
    if present is None:
        metadata.pop("resourceVersion", None)
        return _create(etcd, asked, obj), 201
    expected = metadata.get("resourceVersion")
    if not expected and resource.needs_version:
        missing = statuses.Complaint(
            "metadata.resourceVersion", "Invalid value", "0x0", "must be specified for an update"
        )
        raise statuses.invalid_object(path.group, path.plural, path.name, [missing])
    if expected and expected != present["metadata"]["resourceVersion"]:
        raise statuses.conflict(path.group, path.plural, path.name)
    obj = _checked(asked, obj)
    return etcd.update(resource, obj, manager=asked.manager, subresource=path.subresource), 200


def _delete(etcd: Etcd, asked: WriteRequest) -> Object:
    resource, path = asked.resource, asked.path
    present = etcd.get(resource, path.namespace, path.name)
    if present is not None:
        _meet_preconditions(asked, present["metadata"])
    gone = etcd.delete(resource, path.namespace, path.name)
    if resource.returns_deleted:
        return gone
    return statuses.deleted(path.group, path.plural, path.name, gone["metadata"]["uid"])


def _meet_preconditions(asked: WriteRequest, metadata: Object) -> None:
    """As `rest.BeforeDelete`, whose conflict names the kind."""
    path, kind = asked.path, asked.resource.kind
    wanted = _object(asked.body or b"{}", path).get("preconditions") or {}
    told = (("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified"))
    for field, title, what in told:
        if wanted.get(field) and wanted[field] != metadata[field]:
            cause = (
                f"the {title} in the precondition ({wanted[field]}) does not match the {title} in record "
                f"({metadata[field]}). The object might have been {what}"
            )
            raise statuses.conflict(path.group, kind, path.name, cause)


def _checked(asked: WriteRequest, obj: Object) -> Object:
    check = CHECKS.get(asked.resource.plural)
    return obj if check is None else check(obj)


def _name(asked: WriteRequest) -> str:
    if asked.verb != "create":
        return asked.path.name
    return str(_object(asked.body, asked.path)["metadata"].get("name", ""))


def _key(path: ApiPath) -> str:
    """Return where etcd of a real cluster has the object."""
    return "/".join(part for part in ("/registry", path.plural, path.namespace, path.name) if part)


def _object(body: bytes, path: ApiPath) -> Object:
    try:
        obj = msgspec.json.decode(body)
        metadata = obj.setdefault("metadata", {})
    except (msgspec.DecodeError, AttributeError) as error:
        raise statuses.bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
    if not path.namespace:
        return dict(obj)
    if metadata.setdefault("namespace", path.namespace) != path.namespace:
        raise statuses.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return dict(obj)
