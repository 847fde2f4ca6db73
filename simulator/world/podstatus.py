"""The status that a kubelet reports for a pod: pure functions from what is to how it reads."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.world.cluster import Object
from simulator.world.reported import conditions_of

_ORDER = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the kubelet says of the pod's first container; the others, if any, mirror it."""

    state: Mapping[str, Any]
    last_state: Mapping[str, Any] = field(default_factory=dict)
    is_ready: bool = False
    is_started: bool = False
    restarts: int = 0
    container_id: str = ""


def waiting(reason: str, message: str = "") -> Object:
    """Return the state of a container that does not run yet, or not now."""
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def running(started_at: str) -> Object:
    """Return the state of a container that runs."""
    return {"running": {"startedAt": started_at}}


def terminated(*, exit_code: int, reason: str, started_at: str, finished_at: str, container_id: str) -> Object:
    """Return the state of a container that ended."""
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": started_at,
            "finishedAt": finished_at,
            "containerID": container_id,
        }
    }


def image_id(image: str) -> str:
    """Return the digest under which the node has *image*."""
    return f"{image.rpartition(':')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def pod_status(pod: Object, container: Container, *, phase: str, now: str, host_ip: str, pod_ip: str) -> Object:
    """Return the whole status of *pod*; conditions that did not change keep their transition time."""
    old = pod.get("status") or {}
    generation = pod["metadata"].get("generation", 1)
    status: Object = {
        "observedGeneration": generation,
        "phase": phase,
        "conditions": _conditions(old, container, phase=phase, now=now, generation=generation, has_ip=bool(pod_ip)),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
    }
    if pod_ip:
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    status["startTime"] = old.get("startTime", now)
    status["containerStatuses"] = [_container_status(spec, container) for spec in pod["spec"]["containers"]]
    status["qosClass"] = old.get("qosClass", "Burstable")
    return status


def _container_status(spec: Object, container: Container) -> Object:
    status: Object = {
        "name": spec["name"],
        "state": dict(container.state),
        "lastState": dict(container.last_state),
        "ready": container.is_ready,
        "restartCount": container.restarts,
        "image": spec["image"],
        "imageID": image_id(spec["image"]) if container.container_id else "",
    }
    if container.container_id:
        status["containerID"] = container.container_id
    status["started"] = container.is_started
    return status


def _conditions(
    old: Object, container: Container, *, phase: str, now: str, generation: int, has_ip: bool
) -> list[Object]:
    before = conditions_of(old)
    has_ended = phase in {"Succeeded", "Failed"}
    truths = {
        "PodReadyToStartContainers": has_ip and not has_ended,
        "Initialized": True,
        "Ready": container.is_ready,
        "ContainersReady": container.is_ready,
        "PodScheduled": True,
    }
    conditions = []
    for kind in _ORDER:
        value = "True" if truths[kind] else "False"
        condition: Object = {
            "type": kind,
            "observedGeneration": generation,
            "status": value,
            "lastProbeTime": None,
            "lastTransitionTime": now,
        }
        if kind in before and before[kind].get("status") == value:
            condition["lastTransitionTime"] = before[kind].get("lastTransitionTime") or now
        if kind in {"Ready", "ContainersReady"} and not container.is_ready:
            condition["reason"] = "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"
            if phase == "Failed":
                condition["reason"] = "PodFailed"
            if not has_ended:
                condition["message"] = "containers with unready status: [app]"
        if kind == "Initialized" and phase == "Succeeded":
            condition["reason"] = "PodCompleted"
        conditions.append(condition)
    return conditions
