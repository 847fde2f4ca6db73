"""
What becomes of a container, read off the objects alone.

A fault is in the cluster's own objects (a typo in a tag, a release candidate that crashes, a limit that is too low,
a setting that breaks the application), so that it outlives a restart of the pretend cluster, and that what mends
the object mends the pod.
"""

from enum import Enum

from simulator.world.cluster import Cluster, Object

POOL_SIZE_KEY = "DB_POOL_SIZE"
INPUT_VARIABLE = "INPUT"
MISSING_INPUT = "s3://exports/missing"
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Fate(Enum):
    """How a container's start ends."""

    HEALTHY = "healthy"
    UNPULLABLE = "unpullable"
    CRASHING = "crashing"
    OUT_OF_MEMORY = "outOfMemory"


def fate_of(cluster: Cluster, pod: Object) -> Fate:
    """Return what will become of the first container of *pod*, were it started now."""
    container = pod["spec"]["containers"][0]
    tag = container["image"].rpartition(":")[2]
    if "O" in tag:  # somebody typed the letter for the digit
        return Fate.UNPULLABLE
    if "-rc" in tag or _has_missing_input(container) or _has_broken_config(cluster, pod):
        return Fate.CRASHING
    if _is_starved(container):
        return Fate.OUT_OF_MEMORY
    return Fate.HEALTHY


def memory_bytes(quantity: str) -> int:
    """Return the bytes of a quantity as our manifests write them (`Ki`, `Mi`, `Gi` or plain)."""
    unit = quantity[-2:]
    return int(quantity[:-2]) * _UNITS[unit] if unit in _UNITS else int(quantity)


def _is_starved(container: Object) -> bool:
    resources = container.get("resources", {})
    limit, request = resources.get("limits", {}).get("memory"), resources.get("requests", {}).get("memory")
    # Our applications need more than they request; a limit at the request is one that somebody cut too far.
    return bool(limit and request) and memory_bytes(limit) <= memory_bytes(request)


def _has_missing_input(container: Object) -> bool:
    return any(
        variable["name"] == INPUT_VARIABLE and variable.get("value") == MISSING_INPUT
        for variable in container.get("env", ())
    )


def _has_broken_config(cluster: Cluster, pod: Object) -> bool:
    for volume in pod["spec"].get("volumes", ()):
        name = volume.get("configMap", {}).get("name")
        if name is None:
            continue
        config = cluster.get("configmaps", pod["metadata"]["namespace"], name)
        if config is not None and config.get("data", {}).get(POOL_SIZE_KEY) == "0":
            return True
    return False
