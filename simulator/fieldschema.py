"""
What field ownership must know of the types: which lists are maps by key, what is one value, what is never absent.

It stands in for the OpenAPI schema that the real server reads. Comparing and owning is `managedfields.py`.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]

LIST_KEYS: Mapping[str, tuple[str, ...]] = {
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

SERVICE_PORT = ("port", "protocol")

ATOMIC_ITEMS = frozenset({"ownerReferences"})
"""Associative lists whose items are one value."""

TOLERATIONS: Path = ("f:spec", "f:tolerations")
ADDED_LATE: Mapping[str, tuple[Path, ...]] = {
    "jobs": (
        ("f:spec", "f:selector"),
        *(
            (*where, "f:metadata", "f:labels", f"f:{label}")
            for where in ((), ("f:spec", "f:template"))
            for label in (
                "batch.kubernetes.io/controller-uid",
                "batch.kubernetes.io/job-name",
                "controller-uid",
                "job-name",
            )
        ),
    ),
    "namespaces": (("f:spec", "f:finalizers"),),
    "pods": (
        ("f:spec", "f:preemptionPolicy"),
        ("f:spec", "f:priority"),
        ("f:spec", "f:serviceAccount"),
        ("f:spec", "f:serviceAccountName"),
        TOLERATIONS,
    ),
    "services": (
        ("f:spec", "f:clusterIP"),
        ("f:spec", "f:clusterIPs"),
        ("f:spec", "f:ipFamilies"),
        ("f:spec", "f:ipFamilyPolicy"),
    ),
}
"""What admission and the registry add to a new object after its creator's fields were noted: nobody's."""

ATOMIC = frozenset(
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
        "requiredDuringSchedulingIgnoredDuringExecution",
        "resourceFieldRef",
        "roleRef",
        "secretKeyRef",
        "selector",
        "targetRef",
    },
)
"""Maps and structs that are one value (`+structType=atomic`, `+mapType=atomic`)."""

STRUCTS = frozenset(
    {
        "containers",
        "daemonEndpoints",
        "jobTemplate",
        "loadBalancer",
        "metadata",
        "nodeInfo",
        "names",
        "resources",
        "scaleTargetRef",
        "source",
        "spec",
        "status",
        "strategy",
        "template",
        "updateStrategy",
    },
)
"""Fields whose Go type is never absent outside a list: a writer owns what is in them, not the field itself."""

UNOWNED_METADATA = frozenset(
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


def keyed_items(name: str, value: Any, path: Path) -> Object | None:
    """Return the items of an associative list by their path element; None when the list is atomic."""
    if not isinstance(value, list):
        return None
    if name == "finalizers":
        return {f"v:{json.dumps(item)}": item for item in value}
    keys = LIST_KEYS.get(name)
    if keys is None or not all(isinstance(item, dict) for item in value):
        return None
    if name == "ports" and value and "containerPort" not in value[0]:
        if path[0] != "f:spec":
            return None  # an EndpointSlice's
        keys = SERVICE_PORT
    if not all(keys[0] in item for item in value):
        return None
    return {_key_element(tuple((key, item[key]) for key in sorted(keys) if key in item)): item for item in value}


@lru_cache(maxsize=4096, typed=True)
def _key_element(values: tuple[tuple[str, Any], ...]) -> str:
    return "k:" + json.dumps(dict(values), separators=(",", ":"))
