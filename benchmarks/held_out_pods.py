"""
Pods of shapes that the compression dictionary never saw: what a journal takes of workloads that nobody trained for.

They have what the recorded pods lack: init containers, native sidecars, probes, affinities, spreads, volumes of every
kind, env from everywhere, security contexts. Each lives as its kubelet would report it. Never give these to
train_dictionary.py.
"""

import hashlib
from collections.abc import Iterator
from copy import deepcopy
from functools import cache

from benchmarks.held_out_manifests import Json, database, meshed, node_agent, worker
from benchmarks.pod_lives import Life, reported

_DAY = "2026-11-23T"


@cache
def held_out_lives() -> list[Life]:
    """Return (uid, name, versions) of a life of each shape, as `pod_lives.templates` does."""
    return [_life(pod) for pod in (meshed(), database(), worker(), node_agent())]


def _life(pod: Json) -> Life:
    versions = [reported(deepcopy(version)) for version in _lived(pod)]
    return pod["metadata"]["uid"], pod["metadata"]["name"], versions


def _lived(pod: Json) -> Iterator[Json]:
    """Give the pod as it is created, scheduled, initialized, started, ready, shaken and ended."""
    spec, seed = pod["spec"], pod["metadata"]["name"]
    second = 5
    yield pod
    spec["nodeName"] = f"ip-10-31-{len(seed)}-77.eu-central-1.compute.internal"
    status = pod["status"]
    status["conditions"] = [_condition("PodScheduled", second)]
    yield pod
    inits, mains = spec.get("initContainers", []), spec["containers"]
    second += 1
    status.update(hostIP="10.31.4.77", hostIPs=[{"ip": "10.31.4.77"}], startTime=_at(second))
    initial = "Initialized" if not inits else "Initialized:ContainersNotInitialized"
    status["conditions"] = [
        _condition("PodReadyToStartContainers", second, "False"),
        _condition(initial, second, "False" if inits else "True"),
        _condition("Ready:ContainersNotReady", second, "False"),
        _condition("ContainersReady:ContainersNotReady", second, "False"),
        _condition("PodScheduled", second - 1),
    ]
    if inits:
        status["initContainerStatuses"] = [_status(seed, one, "waiting", second) for one in inits]
    status["containerStatuses"] = [_status(seed, one, "waiting", second) for one in mains]
    yield pod
    for place, one in enumerate(inits):
        second += 3
        status["conditions"][0] = _condition("PodReadyToStartContainers", 9)
        status.update(podIP="10.31.9.12", podIPs=[{"ip": "10.31.9.12"}])
        stays = one.get("restartPolicy") == "Always"
        status["initContainerStatuses"][place] = _status(seed, one, "running" if stays else "terminated", second)
        yield pod
    second += 2
    status["phase"] = "Running"
    status.update(podIP="10.31.9.12", podIPs=[{"ip": "10.31.9.12"}])
    status["conditions"][1] = _condition("Initialized", second)
    for place, one in enumerate(mains):
        status["containerStatuses"][place] = _status(seed, one, "running", second, ready=False)
    yield pod
    for is_ready, later in ((True, 11), (False, 3600), (True, 30)):
        second += later
        _turn(pod, second, is_ready=is_ready)
        yield pod
    pod["metadata"].update(deletionTimestamp=_at(second + 3660), deletionGracePeriodSeconds=60)
    yield pod
    second += 3630
    _turn(pod, second, is_ready=False)
    for place, one in enumerate(mains):
        status["containerStatuses"][place] = _status(seed, one, "terminated", second)
    yield pod
    status["phase"] = "Succeeded"
    pod["metadata"]["deletionGracePeriodSeconds"] = 0
    yield pod


def _turn(pod: Json, second: int, *, is_ready: bool) -> None:
    status = pod["status"]
    said = "True" if is_ready else "False"
    for place, name in ((2, "Ready"), (3, "ContainersReady")):
        status["conditions"][place] = _condition(name if is_ready else f"{name}:ContainersNotReady", second, said)
    status["containerStatuses"][0] |= {"ready": is_ready}


def _at(second: int) -> str:
    return f"{_DAY}{9 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def _condition(name: str, second: int, status: str = "True") -> Json:
    kind, _, reason = name.partition(":")
    told = {"reason": reason, "message": f"containers with unready status: [{kind.lower()}]"} if reason else {}
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": _at(second), **told}


def _status(seed: str, container: Json, state: str, second: int, *, ready: bool = True) -> Json:
    waiting = {"reason": "PodInitializing" if state == "waiting" else "ContainerCreating"}
    digest = hashlib.sha256(container["image"].encode()).hexdigest()
    number = "containerd://" + hashlib.sha256(f"{seed} {container['name']}".encode()).hexdigest()
    ended = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": _at(second - 2),
        "finishedAt": _at(second),
        "containerID": number,
    }
    states: Json = {"waiting": waiting, "running": {"startedAt": _at(second)}, "terminated": ended}
    found: Json = {
        "name": container["name"],
        "state": {state: states[state]},
        "lastState": {},
        "ready": ready and state != "waiting",
        "restartCount": 0,
        "image": container["image"],
        "imageID": "" if state == "waiting" else f"{container['image'].partition(':')[0]}@sha256:{digest}",
        "started": state == "running",
    }
    if state != "waiting":
        found["containerID"] = number
        found["volumeMounts"] = [
            {**mount, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else mount
            for mount in container.get("volumeMounts", [])
        ]
    return found
