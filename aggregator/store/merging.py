"""
Which items of two lists are the same thing: the merge keys of Kubernetes' list fields, on raw JSON.

The keys are those of the API's `patchMergeKey` and `listMapKey` markers (k8s.io/api types.go). A list whose items do
not all carry its key, or carry one twice, is a plain list. Atomic lists (tolerations and the like) are in `WHOLE`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import msgspec
from msgspec import Raw

_ABSENT = Raw(b"")

WHOLE = frozenset({"tolerations", "finalizers", "taints", "accessModes", "podCIDRs", "matchExpressions"})
"""Lists that mean something only as a whole: shown and replaced so."""

_BY_FIELD = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "containerStatuses": "name",
    "initContainerStatuses": "name",
    "ephemeralContainerStatuses": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "webhooks": "name",
    "versions": "name",
    "listeners": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
}


class _Keyed(Protocol):
    key: Raw


class _Port(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    container_port: Raw = _ABSENT
    port: Raw = _ABSENT
    protocol: Raw = _ABSENT


def _by(key: str) -> Callable[[bytes | Raw], list[bytes] | None]:
    """Return a function from a list's JSON to its items' selectors such as `{"name":"app"}`, in order."""
    item = msgspec.defstruct(f"By_{key}", [("key", Raw, _ABSENT)], rename={"key": key}, frozen=True, gc=False)
    decode = cast("Callable[[bytes | Raw], Sequence[_Keyed]]", msgspec.json.Decoder(list[item]).decode)  # type: ignore[valid-type]
    start = b'{"%b":' % key.encode()

    def selectors(array: bytes | Raw) -> list[bytes] | None:
        try:
            found = [bytes(it.key) for it in decode(array)]
        except msgspec.ValidationError:
            return None
        return [b"%b%b}" % (start, value) for value in found] if all(found) else None

    return selectors


_PORTS = msgspec.json.Decoder(list[_Port])


def _ports(array: bytes | Raw) -> list[bytes] | None:
    """Tell ports by number and protocol: of a container by containerPort, of a Service or an EndpointSlice by port."""
    try:
        items = _PORTS.decode(array)
    except msgspec.ValidationError:
        return None
    found = []
    for it in items:
        if number := bytes(it.container_port):
            start = b'{"containerPort":%b' % number
        elif number := bytes(it.port):
            start = b'{"port":%b' % number
        else:
            return None
        protocol = bytes(it.protocol)
        found.append(b'%b,"protocol":%b}' % (start, protocol) if protocol else start + b"}")
    return found


_MATCHERS = {field: _by(key) for field, key in _BY_FIELD.items()} | {"ports": _ports}


def key_of(field: str) -> str | None:
    """Return the one field that tells the items of the list *field* apart; None when it takes more, or is plain."""
    return _BY_FIELD.get(field)


def selectors_of(field: str, array: bytes | Raw) -> list[bytes] | None:
    """Return what tells the items of the list *field* apart, as JSON, in order; None when it is a plain list."""
    matcher = _MATCHERS.get(field)
    if matcher is None:
        return None
    found = matcher(array)
    return found if found is not None and len(set(found)) == len(found) else None
