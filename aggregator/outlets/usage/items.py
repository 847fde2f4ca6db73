"""Usage as the API shows it: one pod, or one node, against what it may use. Pure."""

from collections.abc import Iterable
from typing import Any

from aggregator.census.nodes import NodeState
from aggregator.census.pods import PodState
from aggregator.outlets.usage.latest import Told, cpu_of, memory_of
from aggregator.outlets.usage.ring import Ring
from aggregator.outlets.usage.steady import SteadyCounter
from aggregator.outlets.usage.whose import Budget, budgets_of, sum_of
from kubescribe.wire.times import to_rfc3339
from kubescribe.wire.usage import ContainerUsage, NodeUsage, PodUsage, Space

_NO_BUDGET = Budget()
Item = dict[str, Any]


def pod_item(told: Told[PodUsage], known: PodState | None, uid: str, *, history: bool) -> Item:
    """Return a pod's usage; *known* is None while the journal is being read: what it may use is not known then."""
    usage = told.usage
    budgets = budgets_of(known) if known else {}
    budget = budget_of(usage, known)
    return {
        **_head("Pod", told, usage.name),
        "namespace": usage.namespace,
        "uid": uid or usage.uid or None,
        "workloadKind": known.workload_kind if known else None,
        "workload": known.workload if known else None,
        "cpu": _cpu(cpu_of(usage), budget),
        "memory": _memory(memory_of(usage), budget),
        "disk": {"usedBytes": usage.disk_bytes, "limitBytes": _whole(budget.disk_limit)},
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


def budget_of(usage: PodUsage, known: PodState | None) -> Budget:
    """Return what the containers of a pod that run may use together."""
    budgets = budgets_of(known) if known else {}
    return sum_of([budgets.get(container.name, _NO_BUDGET) for container in usage.containers])


def node_item(told: Told[NodeUsage], known: NodeState | None, budgets: Iterable[Budget], *, history: bool) -> Item:
    """Return a node's usage, against what it has and what its pods request, by their *budgets*."""
    usage, compute, asked = told.usage, told.usage.compute, list(budgets)
    cpu = {"cores": _cores(compute.cpu_nanocores), "allocatableCores": known.cpu if known else None}
    cpu["requestCores"] = sum(budget.cpu_request or 0.0 for budget in asked)
    memory = {
        "workingSetBytes": compute.memory_bytes,
        "allocatableBytes": _whole(known.memory) if known else None,
        "requestBytes": _whole(sum(budget.memory_request or 0.0 for budget in asked)),
    }
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
        "disk": {"usedBytes": usage.disk_bytes, "limitBytes": _whole(budget.disk_limit)},
    }


def _cpu(nanocores: int | None, budget: Budget) -> Item:
    return {"cores": _cores(nanocores), "requestCores": budget.cpu_request, "limitCores": budget.cpu_limit}


def _memory(working_set: int | None, budget: Budget) -> Item:
    return {
        "workingSetBytes": working_set,
        "requestBytes": _whole(budget.memory_request),
        "limitBytes": _whole(budget.memory_limit),
    }


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


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
