"""
Which pod it is that somebody told of, and what it and its node may use: the roll of what lives, asked by name.

Only reads, and in any thread. A kubelet tells the uid of a pod's files, which of a static pod is not the one in the
API; metrics.k8s.io tells none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from aggregator.census.nodes import NodeState
from aggregator.census.pods import PodState
from aggregator.census.roll import Roll


class Unknown(Enum):
    """Why there is no pod: the journal was not read yet, or it knows of none that lives."""

    YET = "yet"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Requests and limits, cores and bytes; None where nothing is said: of a limit that is no limit."""

    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None
    disk_limit: float | None = None


class Register:
    """The questions, over a *roll*."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll

    def pod(self, namespace: str, name: str, uid: str) -> PodState | Unknown:
        """Return the pod of that name and *uid* ("": whichever)."""
        named = self._roll.pod_named(namespace, name)
        if named is not None:
            own_uid, pod = named
            if uid in {"", own_uid} or _is_static(pod):
                return pod
        # A name can be taken anew before its former pod is seen to go; and it is gone all the same.
        return Unknown.GONE if self._roll.is_complete else Unknown.YET

    @property
    def is_complete(self) -> bool:
        """Whether a pod that is not here does not live; before, it may not have been read yet."""
        return self._roll.is_complete

    @property
    def uids(self) -> Mapping[tuple[str, str], str]:
        """The uid of each (namespace, name) that lives: who has it need not ask for the pod."""
        return self._roll.uids

    def nodes(self) -> dict[str, NodeState]:
        """Return what is known of the nodes, by name."""
        return {node.name: node for node in self._roll.nodes()}

    def uid(self, namespace: str, name: str) -> str:
        """Return the uid in the API of the pod of that name, "" for none."""
        named = self._roll.pod_named(namespace, name)
        return named[0] if named is not None else ""


def budgets_of(pod: PodState) -> dict[str, Budget]:
    """Return what each container may use, by name."""
    told: dict[str, dict[str, float | None]] = {}
    for it in pod.resources:
        own = told.setdefault(it.container, {})
        match it.resource:
            case "cpu":
                own |= {"cpu_request": it.request, "cpu_limit": it.limit}
            case "memory":
                own |= {"memory_request": it.request, "memory_limit": it.limit}
            case "ephemeral_storage":
                own["disk_limit"] = it.limit
    return {container: Budget(**amounts) for container, amounts in told.items()}


def sum_of(budgets: list[Budget]) -> Budget:
    """Return the sums over containers: requests of those that request, limits only where each has one."""
    return Budget(
        cpu_request=_sum([it.cpu_request for it in budgets]),
        cpu_limit=_sum_of_all([it.cpu_limit for it in budgets]),
        memory_request=_sum([it.memory_request for it in budgets]),
        memory_limit=_sum_of_all([it.memory_limit for it in budgets]),
        disk_limit=_sum_of_all([it.disk_limit for it in budgets]),
    )


def _is_static(pod: PodState) -> bool:
    """Tell whether it is a static pod's mirror: the kubelet names it for its node, and nothing else owns it."""
    return pod.workload_kind == "Pod" and bool(pod.node) and pod.name.endswith(f"-{pod.node}")


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_all(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
