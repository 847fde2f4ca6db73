"""The documents: a kubelet's `/stats/summary`, and the lists of metrics.k8s.io, from the objects in the store. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator.kubelets.consumption import demand_of, network_bytes, volume_used
from simulator.world.fates import memory_bytes

Document = dict[str, Any]

_DISK = 85_886_742_528
_INODES = 41_942_512
_WINDOW_SECONDS = 15


def summary_of(
    node: Mapping[str, Any],
    pods: Iterable[Mapping[str, Any]],
    *,
    now: float,
    booted_at: float,
    claims: Mapping[tuple[str, str], str],
) -> Document:
    """
    Return what the kubelet of *node* says at *now*, seconds since 1970; its own counters run since *booted_at*.

    *claims* are the capacities of PersistentVolumeClaims by (namespace, name), as they say them.
    """
    told = [_pod(pod, now=now, claims=claims) for pod in pods]
    name = node["metadata"]["name"]
    memory = memory_bytes(node["status"]["capacity"]["memory"]) if "capacity" in node.get("status", {}) else 2**34
    used = sum(_sum(pod, "memory", "workingSetBytes") for pod in told) + 600 * 2**20
    cpu = sum(_sum(pod, "cpu", "usageNanoCores") for pod in told) + 150_000_000
    seconds = max(0.0, now - booted_at)
    return {
        "node": {
            "nodeName": name,
            "startTime": _time(booted_at),
            "cpu": {"time": _time(now), "usageNanoCores": cpu, "usageCoreNanoSeconds": int(seconds * 4e8)},
            "memory": {"time": _time(now), "workingSetBytes": used, "availableBytes": max(0, memory - used)},
            "network": _network(name, seconds, now=now),
            "fs": _space(_DISK, _DISK // 4 + int(seconds * 1024), now=now),
            "runtime": {"imageFs": _space(_DISK, _DISK // 8, now=now)},
        },
        "pods": told,
    }


def _pod(pod: Mapping[str, Any], *, now: float, claims: Mapping[tuple[str, str], str]) -> Document:
    metadata = pod["metadata"]
    began = _seconds(pod.get("status", {}).get("startTime") or metadata.get("creationTimestamp"), now)
    containers = [_container(pod, spec, started, now=now) for spec, started in _running(pod)]
    volumes = [_volume(metadata, volume, claims, now - began, now=now) for volume in pod["spec"].get("volumes", ())]
    return {
        "podRef": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": _own_uid(metadata)},
        "startTime": _time(began),
        "containers": containers,
        "network": _network(metadata["uid"], now - began, now=now),
        "volume": volumes,
        "ephemeral-storage": _space(_DISK, 40_960 + 8_192 * len(containers), now=now),
    }


def _own_uid(metadata: Mapping[str, Any]) -> str:
    """Return the uid by which the kubelet knows the pod: of a static one the hash of its file, not the mirror's."""
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    return annotations.get("kubernetes.io/config.hash") or metadata["uid"]


def _running(pod: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], float]]:
    """Return the containers that run, and since when: the kubelet tells of no other."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    states = {status.get("name"): status.get("state") or {} for status in statuses}
    found = []
    for spec in pod["spec"].get("containers", ()):
        running = states.get(spec["name"], {}).get("running") or {}
        if "startedAt" in running:
            found.append((spec, datetime.fromisoformat(running["startedAt"]).timestamp()))
    return found


def _container(pod: Mapping[str, Any], spec: Mapping[str, Any], started: float, *, now: float) -> Document:
    demand, seconds = demand_of(f"{pod['metadata']['uid']}/{spec['name']}", spec), max(0.0, now - started)
    return {
        "name": spec["name"],
        "startTime": _time(started),
        "cpu": {
            "time": _time(now),
            "usageNanoCores": int(demand.rate(seconds) * 1e9),
            "usageCoreNanoSeconds": int(demand.total(seconds) * 1e9),
        },
        "memory": {"time": _time(now), "workingSetBytes": int(demand.working_set(seconds))},
        "rootfs": _space(_DISK, 32_768, now=now),
        "logs": _space(_DISK, 8_192 + int(seconds * 100), now=now),
    }


def _volume(
    pod: Mapping[str, Any],
    volume: Mapping[str, Any],
    claims: Mapping[tuple[str, str], str],
    seconds: float,
    *,
    now: float,
) -> Document:
    claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
    if not claim:
        return {**_space(_DISK, 4_096, now=now), "name": volume["name"]}
    capacity = memory_bytes(claims.get((pod["namespace"], claim), "10Gi"))
    used = volume_used(f"{pod['namespace']}/{claim}", capacity, seconds)
    return {
        **_space(capacity, used, now=now),
        "name": volume["name"],
        "pvcRef": {"name": claim, "namespace": pod["namespace"]},
    }


def _space(capacity: int, used: int, *, now: float) -> Document:
    used = min(used, capacity)
    return {
        "time": _time(now),
        "availableBytes": capacity - used,
        "capacityBytes": capacity,
        "usedBytes": used,
        "inodesFree": _INODES - 1_000,
        "inodes": _INODES,
        "inodesUsed": 1_000,
    }


def _network(key: str, seconds: float, *, now: float) -> Document:
    one = {"name": "eth0", "rxBytes": network_bytes(f"{key}/rx", seconds), "rxErrors": 0}
    one |= {"txBytes": network_bytes(f"{key}/tx", seconds), "txErrors": 0}
    return {"time": _time(now), **one, "interfaces": [one]}


def pod_metrics(pods: Iterable[Mapping[str, Any]], *, now: float) -> Document:
    """Return the PodMetricsList of metrics.k8s.io/v1beta1: only pods with a container that runs."""
    items = []
    for pod in pods:
        told = [_container(pod, spec, started, now=now) for spec, started in _running(pod)]
        if told:
            metadata = pod["metadata"]
            shown = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
            containers = [{"name": one["name"], "usage": _usage(one)} for one in told]
            items.append({"metadata": shown, **_moment(now), "containers": containers})
    return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}


def node_metrics(summaries: Iterable[Document], *, now: float) -> Document:
    """Return the NodeMetricsList of metrics.k8s.io/v1beta1, from what the kubelets say."""
    items = [
        {"metadata": {"name": one["node"]["nodeName"]}, **_moment(now), "usage": _usage(one["node"])}
        for one in summaries
    ]
    return {"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}


def _usage(told: Mapping[str, Any]) -> Document:
    return {"cpu": f"{told['cpu']['usageNanoCores']}n", "memory": f"{told['memory']['workingSetBytes'] // 1024}Ki"}


def _moment(now: float) -> Document:
    return {"timestamp": _time(now), "window": f"{_WINDOW_SECONDS}s"}


def _sum(pod: Document, part: str, name: str) -> int:
    return sum(container[part][name] for container in pod["containers"])


def _seconds(text: str | None, default: float) -> float:
    return datetime.fromisoformat(text).timestamp() if text else default


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
