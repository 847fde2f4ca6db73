"""
What /metrics needs of a pod, taken from its object. Pure; ~5 µs for a pod of 4 KB.

`ended` counts the instances of a container that have ended. The status tells it by position: the running instance is
number `restartCount`, counted from 0, so that many ended before it; one that has terminated ended too, and so has the
one that a container waits to follow, while the status still carries its containerID (kuberuntime: restartCount grows
when the next instance is made, not when the last one ends). However often a status is seen, these numbers are the same.
"""

from functools import lru_cache
from sys import intern
from typing import NamedTuple, TypeVar

import msgspec

from kubescribe.kube.quantities import quantity
from kubescribe.labels.pods import pod_facts
from kubescribe.labels.workloads import workload_of

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
REASONS = (
    *("OOMKilled", "Error", "Completed", "ContainerCannotRun", "StartError", "DeadlineExceeded"),
    *("Evicted", "ContainerStatusUnknown", "Unknown"),
)
"""Why containers end, as kubelet and runtimes say; what is not here is told as `Other`, what nobody saw `Unknown`."""

MAX_CONTAINERS = 250
"""Of one pod; whatever claims more is cut, so that one object cannot fill the memory."""

_RESOURCES = {"cpu": "core", "memory": "byte", "ephemeral-storage": "byte"}
_NAMES = {"ephemeral-storage": "ephemeral_storage"}
MAX_RESTARTS = 2**31 - 1
"""restartCount is an int32; more is nonsense."""


class Resource(NamedTuple):
    """
    What one container asks for of one resource; None: nothing.

    `is_passing` is that of an init container, which is over before the others begin: a sum must not have both.
    """

    container: str
    resource: str
    unit: str
    request: float | None
    limit: float | None
    is_passing: bool = False


class Instance(NamedTuple):
    """A container as its status tells: `last` ended most recently, `before` the one before it, where they are told."""

    name: str
    restarts: int
    ended: int
    last: str = ""
    before: str = ""


class PodState(msgspec.Struct, frozen=True, gc=False):
    """A pod that is not gone; what pods of one template share is shared in memory too."""

    namespace: str
    name: str
    node: str
    workload_kind: str
    workload: str
    phase: str
    is_unschedulable: bool
    names: tuple[str, ...]
    resources: tuple[Resource, ...]
    instances: tuple[Instance, ...]


class _Terminated(msgspec.Struct, gc=False, rename="camel"):
    reason: str = ""
    container_id: str = msgspec.field(name="containerID", default="")


class _Waiting(msgspec.Struct, gc=False):
    pass


class _State(msgspec.Struct, gc=False):
    terminated: _Terminated | None = None
    waiting: _Waiting | None = None


class _ContainerStatus(msgspec.Struct, gc=False, rename="camel"):
    name: str
    restart_count: int = 0
    container_id: str = msgspec.field(name="containerID", default="")
    state: _State | None = None
    last_state: _State | None = None


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""


class _Status(msgspec.Struct, gc=False, rename="camel"):
    phase: str = ""
    init_container_statuses: list[_ContainerStatus] | None = None
    container_statuses: list[_ContainerStatus] | None = None
    ephemeral_container_statuses: list[_ContainerStatus] | None = None


class _OnlyStatus(msgspec.Struct, gc=False):
    status: _Status | None = None


class _Conditions(msgspec.Struct, gc=False):
    conditions: list[_Condition] | None = None


class _OnlyConditions(msgspec.Struct, gc=False):
    status: _Conditions | None = None


class _Resources(msgspec.Struct, gc=False):
    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class _Container(msgspec.Struct, gc=False, rename="camel"):
    name: str
    resources: _Resources | None = None
    restart_policy: str = ""


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None


class _OnlySpec(msgspec.Struct, gc=False):
    spec: _Spec | None = None


_STATUS = msgspec.json.Decoder(_OnlyStatus)
_CONDITIONS = msgspec.json.Decoder(_OnlyConditions)
_SPEC = msgspec.json.Decoder(_OnlySpec)

_T = TypeVar("_T", bound=tuple[object, ...])


def pod_state(body: bytes, *, namespace: str, name: str, node: str) -> PodState | None:
    """Return the state of the pod *body*, JSON; None when it tells no phase. Raises ValueError."""
    facts = pod_facts(body)
    workload = workload_of(facts)
    status = _STATUS.decode(body).status
    if status is None or not status.phase:
        return None
    spec = _SPEC.decode(body).spec or _Spec()
    first = (spec.init_containers or ())[:MAX_CONTAINERS]
    containers = (*first, *(spec.containers or ()))[:MAX_CONTAINERS]
    others = (spec.ephemeral_containers or ())[:MAX_CONTAINERS]
    # By name: of nonsense that names a container twice the later counts, as two series must not be the same.
    asked = {
        (row.container, row.resource): row
        for index, it in enumerate(containers)
        for row in _resources(it, is_passing=index < len(first) and it.restart_policy != "Always")
    }
    return PodState(
        namespace=intern(namespace),
        name=name,
        node=intern(node),
        workload_kind=intern(workload.kind),
        workload=intern(workload.name),
        phase=_phase(status),
        is_unschedulable=_is_unschedulable(body),
        names=_shared(tuple(it.name for it in (*containers, *others))),
        resources=_shared(tuple(asked.values())),
        instances=_instances(status),
    )


def next_pod_state(old: PodState, body: bytes, patch: bytes, *, node: str) -> PodState | None:
    """
    Return the state after *patch* led to *body*: *old* itself when nothing moved that counts here.

    Only the status is decoded, unless what a container may use has changed. Raises ValueError.
    """
    if b'"spec"' in patch:
        return pod_state(body, namespace=old.namespace, name=old.name, node=node)
    if not _touches_status(patch):
        return old if node == old.node else msgspec.structs.replace(old, node=intern(node))
    status = _STATUS.decode(body).status
    if status is None or not status.phase:
        return None
    return PodState(
        namespace=old.namespace,
        name=old.name,
        node=old.node if node == old.node else intern(node),
        workload_kind=old.workload_kind,
        workload=old.workload,
        phase=_phase(status),
        is_unschedulable=_is_unschedulable(body) if b'"PodScheduled"' in patch else old.is_unschedulable,
        names=old.names,
        resources=old.resources,
        instances=_instances(status),
    )


def _phase(status: _Status) -> str:
    return intern(status.phase) if status.phase in PHASES else "Unknown"


def _is_unschedulable(body: bytes) -> bool:
    if b'"Unschedulable"' not in body:  # of nearly all, and to look costs less than to decode
        return False
    status = _CONDITIONS.decode(body).status or _Conditions()
    return any(
        it.type == "PodScheduled" and it.status == "False" and it.reason == "Unschedulable"
        for it in status.conditions or ()
    )


def _touches_status(patch: bytes) -> bool:
    """Tell whether *patch* may move what is told here of a status: its paths and values are in it as they are."""
    return (
        b'"restartCount"' in patch
        or b'tate"' in patch  # state and lastState
        or b'"containerID"' in patch
        or b'"phase"' in patch
        or b'"PodScheduled"' in patch
    )


def _instances(status: _Status) -> tuple[Instance, ...]:
    told = status.container_statuses or []
    if status.init_container_statuses or status.ephemeral_container_statuses:
        told = [*(status.init_container_statuses or ()), *told, *(status.ephemeral_container_statuses or ())]
    found = tuple([_instance(it) for it in told[:MAX_CONTAINERS] if 0 <= it.restart_count <= MAX_RESTARTS])
    shared: tuple[Instance, ...] = _shared(found)
    return shared


def _instance(it: _ContainerStatus) -> Instance:
    now = it.state.terminated if it.state else None
    last = it.last_state.terminated if it.last_state else None
    if now is not None:
        return Instance(it.name, it.restart_count, it.restart_count + 1, _reason(now), _reason(last))
    waits_for_next = (
        last is not None
        and it.state is not None
        and it.state.waiting is not None
        and last.container_id != ""
        and last.container_id == it.container_id
    )
    return Instance(it.name, it.restart_count, it.restart_count + waits_for_next, _reason(last))


def _reason(terminated: _Terminated | None) -> str:
    if terminated is None:
        return ""
    return terminated.reason if terminated.reason in REASONS else "Other" if terminated.reason else "Unknown"


def _resources(container: _Container, *, is_passing: bool) -> list[Resource]:
    asked = container.resources
    if asked is None:
        return []
    found: list[Resource] = []
    for resource, unit in _RESOURCES.items():
        request, limit = _amount(asked.requests, resource), _amount(asked.limits, resource)
        if request is not None or limit is not None:
            found.append(Resource(container.name, _NAMES.get(resource, resource), unit, request, limit, is_passing))
    return found


def _amount(asked: dict[str, str | int | float] | None, resource: str) -> float | None:
    if not asked or resource not in asked:
        return None
    return quantity(str(asked[resource]))


@lru_cache(maxsize=8192)
def _shared(value: _T) -> _T:
    """Return the tuple that was made first of those that are equal: pods of one template have the same."""
    return value
