"""The scheduler: binds pods to nodes, and says so when no node will do."""

from simulator.binding import bound
from simulator.fargate import PROFILE
from simulator.world.cluster import Cluster, Object
from simulator.world.events import Recorder
from simulator.world.fargate import Fargate
from simulator.world.fates import memory_bytes
from simulator.world.pods import Listener
from simulator.world.registry import NodeRecord, PodRecord

# The backoff of unschedulable pods ends at the latest after this (scheduling queue, podMaxInUnschedulablePodsDuration
# is five minutes; an event of the cluster brings them back sooner).
_RETRY_SECONDS = 20.0
# Of three random nodes the emptiest: spreads well without looking at all of them.
_CANDIDATES = 3


class Scheduler:
    """`default-scheduler`, and that of Fargate, which has a node brought for each pod."""

    def __init__(self, cluster: Cluster, recorder: Recorder, fargate: Fargate) -> None:
        self._cluster = cluster
        self._fargate = fargate
        self._recorder = recorder
        self.bound: list[Listener] = []

    def enqueue(self, record: PodRecord) -> None:
        """Try to place a pod soon."""
        delay = self._cluster.between(0.02, 0.3)
        self._cluster.after(delay, lambda: self._schedule(record), ("schedule", record.uid))

    def _schedule(self, record: PodRecord) -> None:
        pod = self._unbound(record)
        if pod is None:
            return
        if PROFILE in pod["metadata"].get("labels", {}):
            key = ("fargate-node", record.uid)
            self._cluster.after(self._cluster.between(2, 5), lambda: self._bind_to_fargate(record), key)
            return
        node = self._choose(record, pod)
        if node is not None:
            self._bind(record, pod, node)
            return
        self._refuse(pod)
        self._cluster.after(_RETRY_SECONDS, lambda: self._schedule(record), ("schedule", record.uid))

    def _bind_to_fargate(self, record: PodRecord) -> None:
        pod = self._unbound(record)
        if pod is not None:
            self._bind(record, pod, self._fargate.bring())

    def _unbound(self, record: PodRecord) -> Object | None:
        """Return a pod that still waits for a node."""
        if self._cluster.registry.pods.get(record.key) is not record or record.node or record.is_terminating:
            return None
        pod = self._cluster.get("pods", record.namespace, record.name)
        return None if pod is None or pod["spec"].get("nodeName") else pod

    def _choose(self, record: PodRecord, pod: Object) -> NodeRecord | None:
        nodes = self._cluster.registry.nodes
        if record.pinned:
            return nodes.get(record.pinned)
        names = list(nodes)
        sample = [nodes[name] for name in self._cluster.rng.sample(names, min(_CANDIDATES, len(names)))]
        fitting = [node for node in sample if _complaint(node, pod) is None]
        if not fitting:
            fitting = [node for node in nodes.values() if _complaint(node, pod) is None]
        return min(fitting, key=lambda node: len(node.pods), default=None)

    def _bind(self, record: PodRecord, pod: Object, node: NodeRecord) -> None:
        self._recorder.post_scheduling(
            pod,
            "Scheduled",
            f"Successfully assigned {record.namespace}/{record.name} to {node.name}",
            action="Binding",
        )
        new = bound(pod, node.name, node.labels, self._cluster.stamp)
        self._cluster.store.update("pods", new, manager="kube-scheduler", subresource="binding")
        self._cluster.registry.bind(record, node.name)
        for listener in self.bound:
            listener(record)

    def _refuse(self, pod: Object) -> None:
        nodes = self._cluster.registry.nodes.values()
        complaints: dict[str, int] = {}
        for node in nodes:
            complaint = _complaint(node, pod) or ""
            complaints[complaint] = complaints.get(complaint, 0) + 1
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(complaints.items()))
        head = f"0/{len(nodes)} nodes are available"
        message = (
            f"{head}: {causes}. no new claims to deallocate, preemption: {head}: "
            f"{len(nodes)} Preemption is not helpful for scheduling."
        )
        condition = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": self._cluster.stamp,
            "reason": "Unschedulable",
            "message": message,
        }
        old: Object = next(iter(pod.get("status", {}).get("conditions", ())), {})
        if old.get("reason") == "Unschedulable":
            condition["lastTransitionTime"] = old["lastTransitionTime"]
        self._cluster.write_status(
            "pods", pod, {**pod.get("status", {"phase": "Pending"}), "conditions": [condition]}, "kube-scheduler"
        )
        self._recorder.post_scheduling(pod, "FailedScheduling", message, action="Scheduling", warning=True)


def _complaint(node: NodeRecord, pod: Object) -> str | None:
    """Return why *pod* does not fit *node*, in the scheduler's words; None when it does."""
    if not node.is_schedulable or not node.is_alive:
        return "node(s) had untolerated taint(s)"
    selector = pod["spec"].get("nodeSelector", {})
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return "node(s) didn't match Pod's node affinity/selector"
    request = pod["spec"]["containers"][0].get("resources", {}).get("requests", {}).get("memory", "0")
    if memory_bytes(request) > node.memory_bytes:
        return "Insufficient memory"
    if len(node.pods) >= node.slots:
        return "Too many pods"
    return None
