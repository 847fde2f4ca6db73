"""What the controllers remember of pods and nodes: the indices that spare them a scan of the store."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from simulator.world.reported import conditions_of, first_container_of

_Key = TypeVar("_Key")


@dataclass(slots=True, kw_only=True)
class PodRecord:
    """A pod as the controllers count it; the object itself stays in the store."""

    namespace: str
    name: str
    uid: str
    app: str
    owner_kind: str = ""
    owner_name: str = ""
    owner_uid: str = ""
    node: str = ""
    address: str = ""
    phase: str = "Pending"
    is_ready: bool = False
    pinned: str = ""
    """The node that a DaemonSet's pod must go to."""
    is_terminating: bool = False
    restarts: int = 0
    order: int = 0
    life: int = 0
    """Raised whenever the container's fate changes: an action entered for an earlier life does nothing."""

    @property
    def key(self) -> tuple[str, str]:
        """Where the store has it."""
        return self.namespace, self.name

    @property
    def is_active(self) -> bool:
        """Whether its controller still counts it as a replica."""
        return not self.is_terminating and self.phase in {"Pending", "Running"}


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """A node as scheduler and node lifecycle count it."""

    name: str
    address: str
    number: int
    zone: str
    slots: int
    """Pods it takes."""
    is_alive: bool = True
    is_schedulable: bool = True
    memory_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    pods: dict[tuple[str, str], None] = field(default_factory=dict)
    last_address: int = 1

    def new_pod_address(self) -> str:
        """Return the next address of the node's range, 10.100.0.0/14, 250 pods a node."""
        self.last_address = self.last_address + 1 if self.last_address < 250 else 2
        return f"10.{100 + self.number // 250}.{self.number % 250}.{self.last_address}"


class Registry:
    """Pods by key, owner, application and node; nodes by name. All in order of entry, for repeatable runs."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], PodRecord] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self._by_owner: dict[str, dict[tuple[str, str], PodRecord]] = {}
        self._by_app: dict[tuple[str, str], dict[tuple[str, str], PodRecord]] = {}
        self._entries = 0

    def add(self, pod: PodRecord) -> None:
        """Enter a pod that the store has."""
        self._entries += 1
        pod.order = self._entries
        self.pods[pod.key] = pod
        self._by_owner.setdefault(pod.owner_uid, {})[pod.key] = pod
        self._by_app.setdefault((pod.namespace, pod.app), {})[pod.key] = pod
        if pod.node:
            self.bind(pod, pod.node)

    def bind(self, pod: PodRecord, node: str) -> None:
        """Note the node that *pod* was bound to."""
        pod.node = node
        if node in self.nodes:
            self.nodes[node].pods[pod.key] = None

    def remove(self, pod: PodRecord) -> None:
        """Strike out a pod that the store no longer has."""
        if self.pods.get(pod.key) is pod:
            del self.pods[pod.key]
        _strike(self._by_owner, pod.owner_uid, pod)
        _strike(self._by_app, (pod.namespace, pod.app), pod)
        if pod.node in self.nodes:
            self.nodes[pod.node].pods.pop(pod.key, None)

    def of_owner(self, uid: str) -> list[PodRecord]:
        """Return the pods that an object owns, oldest first."""
        return list(self._by_owner.get(uid, {}).values())

    def of_app(self, namespace: str, app: str) -> list[PodRecord]:
        """Return the pods that carry an application's label, oldest first."""
        return list(self._by_app.get((namespace, app), {}).values())

    def on_node(self, node: str) -> list[PodRecord]:
        """Return the pods bound to a node, in order of binding."""
        return [self.pods[key] for key in self.nodes[node].pods] if node in self.nodes else []

    def clear(self) -> None:
        """Forget everything."""
        self.pods.clear()
        self.nodes.clear()
        self._by_owner.clear()
        self._by_app.clear()


def record_of(pod: Mapping[str, Any]) -> PodRecord:
    """Return the record of a pod object."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    owners: Iterable[Mapping[str, Any]] = metadata.get("ownerReferences", ())
    owner: Mapping[str, Any] = next(iter(owners), {})
    container, ready = first_container_of(status), conditions_of(status).get("Ready")
    return PodRecord(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        app=metadata.get("labels", {}).get("app.kubernetes.io/name", ""),
        owner_kind=owner.get("kind", ""),
        owner_name=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        node=pod["spec"].get("nodeName", ""),
        address=status.get("podIP", ""),
        phase=status.get("phase", "Pending"),
        pinned=_pinned_node(pod),
        is_ready=ready is not None and ready.get("status") == "True",
        is_terminating="deletionTimestamp" in metadata,
        restarts=(container or {}).get("restartCount") or 0,
    )


def _strike(index: dict[_Key, dict[tuple[str, str], PodRecord]], key: _Key, pod: PodRecord) -> None:
    pods = index.get(key)
    if pods is not None and pods.get(pod.key) is pod:
        del pods[pod.key]
        if not pods:
            del index[key]


def _pinned_node(pod: Mapping[str, Any]) -> str:
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", ())
    for term in terms:
        for field_ in term.get("matchFields", ()):
            return str(field_["values"][0])
    return ""
