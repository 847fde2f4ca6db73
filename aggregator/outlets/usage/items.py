"""Usage as the API shows it: one pod, or one node, against what it may use. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from aggregator.outlets.usage.budgets import Budget, KnownNode, KnownPod
from aggregator.outlets.usage.latest import Told, cpu_of, memory_of
from aggregator.outlets.usage.ring import Ring
from aggregator.outlets.usage.steady import SteadyCounter
from kubescribe.wire.times import to_rfc3339
from kubescribe.wire.usage import Compute, ContainerUsage, NodeUsage, PodUsage, Space

_NO_BUDGET = Budget()
Item = dict[str, Any]


def pod_item(told: Told[PodUsage], known: KnownPod | None, *, history: bool) -> Item:
    """Return a pod's usage; *known* is None until the journal was read, then nothing is known of what it may use."""
    usage, budget = told.usage, known.budget if known else _NO_BUDGET
    budgets: Mapping[str, Budget] = known.containers if known else {}
    return {
        **_head("Pod", told, usage.name),
        "namespace": usage.namespace,
        "uid": (known.uid if known else usage.uid) or None,
        "workloadKind": known.workload_kind if known else None,
        "workload": known.workload if known else None,
        "cpu": _cpu(cpu_of(usage), budget),
        "memory": _memory(memory_of(usage), budget),
        "disk": {"usedBytes": usage.disk_bytes, "limitBytes": budget.disk_limit},
        "network": _network(told),
        "containers": [
            _container(container, told.cpu.get(container.name), budgets.get(container.name, _NO_BUDGET))
            for container in usage.containers
        ],
        "volumes": [
            {"name": volume.name, "claim": volume.claim or None, **space_item(volume.space)} for volume in usage.volumes
        ],
        **_history(told.ring, history=history),
    }


def node_item(told: Told[NodeUsage], known: KnownNode | None, pods: Iterable[KnownPod], *, history: bool) -> Item:
    """Return a node's usage, against what it has and what *pods*, those on it that are known, request."""
    usage, compute, budgets = told.usage, told.usage.compute, [pod.budget for pod in pods]
    cpu = {**_rate(compute), "allocatableCores": known.cpu if known else None}
    cpu["requestCores"] = sum(budget.cpu_request or 0.0 for budget in budgets)
    memory = {"workingSetBytes": compute.memory_bytes, "allocatableBytes": known.memory if known else None}
    memory["requestBytes"] = sum(budget.memory_request or 0 for budget in budgets)
    return {
        **_head("Node", told, usage.name),
        "startedAt": _time(compute.started_at),
        "cpu": {**cpu, "secondsTotal": _seconds(told.cpu.get(""))},
        "memory": memory,
        "disk": {"root": space_item(usage.root or Space()), "images": space_item(usage.images or Space())},
        "network": _network(told),
        **_history(told.ring, history=history),
    }


def space_item(space: Space) -> Item:
    """Return a file system or volume."""
    return {
        "capacityBytes": space.capacity_bytes,
        "availableBytes": space.available_bytes,
        "usedBytes": space.used_bytes,
        "inodes": space.inodes,
        "inodesFree": space.inodes_free,
    }


def _head(kind: str, told: Told[Any], name: str) -> Item:
    return {
        "type": "usage",
        "kind": kind,
        "name": name,
        "node": told.node,
        "source": told.source,
        "observedAt": to_rfc3339(told.seen_at),
    }


def _container(usage: ContainerUsage, counter: SteadyCounter | None, budget: Budget) -> Item:
    return {
        "name": usage.name,
        "startedAt": _time(usage.compute.started_at),
        "cpu": {**_cpu(usage.compute.cpu_nanocores, budget), "secondsTotal": _seconds(counter)},
        "memory": _memory(usage.compute.memory_bytes, budget),
        "disk": {"usedBytes": usage.disk_bytes, "limitBytes": budget.disk_limit},
    }


def _cpu(nanocores: int | None, budget: Budget) -> Item:
    return {"cores": _cores(nanocores), "requestCores": budget.cpu_request, "limitCores": budget.cpu_limit}


def _memory(working_set: int | None, budget: Budget) -> Item:
    return {
        "workingSetBytes": working_set,
        "requestBytes": budget.memory_request,
        "limitBytes": budget.memory_limit,
    }


def _rate(compute: Compute) -> Item:
    return {"cores": _cores(compute.cpu_nanocores)}


def _network(told: Told[Any]) -> Item:
    return {"receivedBytes": told.received.value, "sentBytes": told.sent.value}


def _history(ring: Ring, *, history: bool) -> Item:
    if not history:
        return {}
    return {
        "history": [
            {"at": to_rfc3339(at), "cpuCores": _cores(cpu), "workingSetBytes": memory}
            for at, cpu, memory in ring.points()
        ]
    }


def _cores(nanocores: int | None) -> float | None:
    return None if nanocores is None else nanocores / 1e9


def _seconds(counter: SteadyCounter | None) -> float | None:
    return None if counter is None or counter.value is None else counter.value / 1e9


def _time(nanoseconds: int) -> str | None:
    return to_rfc3339(nanoseconds) if nanoseconds > 0 else None
