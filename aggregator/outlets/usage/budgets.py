"""What pods and nodes may use, as their objects say it: requests, limits, allocatable. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from kubescribe.kube.quantities import quantity
from kubescribe.labels.pods import pod_facts
from kubescribe.labels.workloads import workload_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Cores and bytes, None where nothing is said: of a limit that is no limit."""

    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: int | None = None
    memory_limit: int | None = None
    disk_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPod:
    """A pod as the journal has it; `file_uid` is the uid by which its kubelet may call it."""

    namespace: str
    name: str
    uid: str
    file_uid: str
    node: str
    workload_kind: str
    workload: str
    containers: Mapping[str, Budget]

    @property
    def budget(self) -> Budget:
        """The sums: requests of those that request, limits only where all of the pod's containers have one."""
        own = list(self.containers.values())
        return Budget(
            cpu_request=_sum(it.cpu_request for it in own),
            cpu_limit=_sum_of_all(it.cpu_limit for it in own),
            memory_request=_whole(_sum(it.memory_request for it in own)),
            memory_limit=_whole(_sum_of_all(it.memory_limit for it in own)),
            disk_limit=_whole(_sum_of_all(it.disk_limit for it in own)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNode:
    """What the scheduler may give away on a node."""

    cpu: float | None
    memory: int | None


_Amounts = dict[str, str | int | float]


class _Resources(msgspec.Struct, gc=False):
    requests: _Amounts | None = None
    limits: _Amounts | None = None


class _Container(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    resources: _Resources | None = None
    restart_policy: str = ""


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class _Pod(msgspec.Struct, gc=False):
    spec: _Spec | None = None


class _NodeStatus(msgspec.Struct, gc=False):
    allocatable: _Amounts | None = None


class _Node(msgspec.Struct, gc=False):
    status: _NodeStatus | None = None


_POD = msgspec.json.Decoder(_Pod)
_NODE = msgspec.json.Decoder(_Node)


def known_pod(body: bytes) -> KnownPod:
    """Return what a pod's object says. Raises ValueError (msgspec's errors are)."""
    facts, spec = pod_facts(body), _POD.decode(body).spec or _Spec()
    workload = workload_of(facts)
    # Of init containers only those that go on running (sidecars) count beside the others.
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    return KnownPod(
        namespace=facts.namespace,
        name=facts.name,
        uid=facts.uid,
        file_uid=facts.file_uid,
        node=facts.node,
        workload_kind=workload.kind,
        workload=workload.name,
        containers={one.name: _budget(one.resources or _Resources()) for one in (*sidecars, *(spec.containers or ()))},
    )


def known_node(body: bytes) -> KnownNode:
    """Return what a node's object says. Raises ValueError."""
    status = _NODE.decode(body).status or _NodeStatus()
    allocatable = status.allocatable or {}
    return KnownNode(cpu=_number(allocatable, "cpu"), memory=_whole(_number(allocatable, "memory")))


def _budget(told: _Resources) -> Budget:
    requests, limits = told.requests or {}, told.limits or {}
    return Budget(
        cpu_request=_number(requests, "cpu"),
        cpu_limit=_number(limits, "cpu"),
        memory_request=_whole(_number(requests, "memory")),
        memory_limit=_whole(_number(limits, "memory")),
        disk_limit=_whole(_number(limits, "ephemeral-storage")),
    )


def _number(amounts: _Amounts, name: str) -> float | None:
    found = quantity(amounts.get(name))
    return found if found is not None and 0 <= found < 2**62 else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_all(values: Iterable[float | None]) -> float | None:
    total = 0.0
    for value in (listed := list(values)):
        if value is None:
            return None
        total += value
    return total if listed else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
