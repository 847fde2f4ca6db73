"""
Which objects the controllers can work with.

The API of the pretend cluster takes anything, for tests of bad input; the real one would have refused it or filled
in defaults. What is not whole is left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_IMAGE = "spec.containers.0.image"
_NEEDED: Mapping[str, Sequence[str]] = {
    "pods": (_IMAGE,),
    "nodes": (
        "metadata.labels",
        "spec.providerID",
        "status.addresses.0",
        "status.conditions.0",
        "status.allocatable.pods",
    ),
    "deployments": (
        "spec.replicas",
        "spec.selector.matchLabels",
        "spec.template.metadata",
        f"spec.template.{_IMAGE}",
        "spec.revisionHistoryLimit",
    ),
    "replicasets": ("spec.replicas", "spec.template.metadata", f"spec.template.{_IMAGE}"),
    "statefulsets": ("spec.replicas", "spec.serviceName", "status.currentRevision", f"spec.template.{_IMAGE}"),
    "daemonsets": ("spec.template.metadata.labels", f"spec.template.{_IMAGE}"),
    "jobs": ("spec.backoffLimit", "spec.template.metadata", f"spec.template.{_IMAGE}"),
    "cronjobs": ("spec.schedule", "spec.successfulJobsHistoryLimit", "spec.failedJobsHistoryLimit"),
    "endpointslices": ("metadata.labels", "endpoints"),
    "poddisruptionbudgets": ("spec.maxUnavailable",),
    "horizontalpodautoscalers": ("spec.minReplicas", "spec.maxReplicas"),
}


def is_whole(resource: str, obj: Mapping[str, Any]) -> bool:
    """Tell whether *obj* has what the controllers of *resource* (the plural name) read without asking."""
    return all(_has(obj, path.split(".")) for path in _NEEDED.get(resource, ()))


def _has(value: Any, path: Sequence[str]) -> bool:
    for part in path:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return value is not None
