"""
How nodes come, beat and go.

The kubelets' heartbeats, the node lifecycle controller, the taint eviction, the cloud's deletion, the pod garbage
collector, Karpenter's replacement.
"""

from functools import partial

from simulator.fargate import is_fargate
from simulator.podgc import failed
from simulator.world.cluster import Cluster, Object
from simulator.world.events import Recorder
from simulator.world.nodes import condition, node_of, record_of_node
from simulator.world.pods import Listener, Pods
from simulator.world.registry import NodeRecord, PodRecord
from simulator.world.templates import TOLERATION_SECONDS

_MANAGER = "kube-controller-manager"
# A kubelet posts its status when it changes, and else every five minutes; images come and go, so about each minute.
_HEARTBEAT_SECONDS = 60.0
_GRACE_SECONDS = 40.0
_CLOUD_SECONDS = 45.0
_GARBAGE_SECONDS = 20.0


class NodeLife:
    """The life of all nodes; `joined` and `returned` are called with the node's record."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pods: Pods) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._pods = pods
        self.membership_changed: list[Listener] = []
        self.resumed: list[Listener] = []

    def adopt(self) -> None:
        """Enter the nodes that the store has and let their hearts beat, spread over the interval."""
        registry = self._cluster.registry
        for node in self._cluster.list_whole("nodes"):
            record = record_of_node(node)
            registry.nodes[record.name] = record
            self._beat_later(record, self._cluster.between(0, _HEARTBEAT_SECONDS))

    def enter(self, record: NodeRecord) -> None:
        """Count a ready node that the store has from now on, with the pods that are bound to its name."""
        registry = self._cluster.registry
        registry.nodes[record.name] = record
        for pod in registry.pods.values():
            if pod.node == record.name:
                record.pods[pod.key] = None
        self._beat_later(record, self._cluster.between(0, _HEARTBEAT_SECONDS))
        self._notify(record)

    def meet(self, name: str) -> None:
        """Take up a node that none of ours brought: registered by a test, or back under its old name."""
        node = self._cluster.get("nodes", "", name)
        if node is None or name in self._cluster.registry.nodes:
            return
        self.enter(record_of_node(node))
        for pod in self._cluster.registry.on_node(name):
            for listener in self.resumed:
                listener(pod)

    def forget(self, name: str) -> None:
        """Count a node no more: it is gone from the store. What becomes of its pods is not decided here."""
        record = self._cluster.registry.nodes.pop(name, None)
        if record is not None:
            self._notify(record)

    def lose(self, name: str, *, is_replaced: bool) -> None:
        """Let a node go away without a word; later it is deleted and replaced, or it comes back."""
        record = self._cluster.registry.nodes[name]
        record.is_alive = False
        self._cluster.after(_GRACE_SECONDS, lambda: self._mark_unknown(record))
        rest = _GRACE_SECONDS + TOLERATION_SECONDS
        if is_replaced:
            self._cluster.after(rest + _CLOUD_SECONDS, lambda: self.delete(record))
            self._cluster.after(rest, self.join)
        else:
            self._cluster.after(rest + _CLOUD_SECONDS / 2, lambda: self.come_back(record))

    def join(self) -> None:
        """Karpenter brings a new node: registered, not ready, then ready."""
        taken = {node.number for node in self._cluster.registry.nodes.values() if not is_fargate(node.labels)}
        number = max(taken, default=-1) + 1
        node = node_of(number, now=self._cluster.stamp, is_ready=False)
        stored = self._cluster.create("nodes", node, "kubelet")
        record = record_of_node(stored)
        self._cluster.registry.nodes[record.name] = record
        self._say_as_kubelet(record, "Starting", "Starting kubelet.")
        reported = f"Node {record.name} status is now: NodeHasSufficientMemory"
        self._say_as_kubelet(record, "NodeHasSufficientMemory", reported)
        self._say(record, "RegisteredNode", f"Node {record.name} event: Registered Node {record.name} in Controller")
        self._notify(record)
        self._cluster.after(self._cluster.between(5, 12), lambda: self._become_ready(record))

    def delete(self, record: NodeRecord) -> None:
        """Delete a node whose instance is gone, and then what was bound to it."""
        cause = "because it does not exist in the cloud provider"
        self._say(record, "DeletingNode", f"Deleting node {record.name} {cause}", "cloud-node-lifecycle-controller")
        pods = self._cluster.registry.on_node(record.name)
        self.forget(record.name)
        self._cluster.store.delete("nodes", "", record.name)
        self._say(record, "RemovingNode", f"Node {record.name} event: Removing Node {record.name} from Controller")
        self._cluster.after(_GARBAGE_SECONDS, lambda: self._one_by_one(pods, self._collect))

    def come_back(self, record: NodeRecord) -> None:
        """Let the kubelet report again: conditions and taints clear, and it takes up its pods."""
        record.is_alive = True

        def clear(node: Object) -> None:
            node["spec"].pop("taints", None)

        self._report_healthy(record)
        self._cluster.edit("nodes", "", record.name, clear, manager=_MANAGER)
        record.is_schedulable = True
        self._say_as_kubelet(record, "NodeReady", f"Node {record.name} status is now: NodeReady")
        self._beat_later(record, _HEARTBEAT_SECONDS)
        for pod in self._cluster.registry.on_node(record.name):
            for listener in self.resumed:
                listener(pod)

    def _notify(self, record: NodeRecord) -> None:
        placeholder = PodRecord(namespace="", name="", uid="", app="", node=record.name)
        for listener in self.membership_changed:
            listener(placeholder)

    def _become_ready(self, record: NodeRecord) -> None:
        if record.name not in self._cluster.registry.nodes or not record.is_alive:
            return
        self._report_healthy(record)
        self._cluster.edit("nodes", "", record.name, lambda node: node["spec"].pop("taints", None), manager=_MANAGER)
        record.is_schedulable = True
        self._say_as_kubelet(record, "NodeReady", f"Node {record.name} status is now: NodeReady")
        self._beat_later(record, _HEARTBEAT_SECONDS)

    def _report_healthy(self, record: NodeRecord) -> None:
        def report(node: Object) -> None:
            before = {item["type"]: item for item in node["status"]["conditions"]}
            now = self._cluster.stamp
            node["status"]["conditions"] = [condition(kind, now=now) for kind in before]
            for item in node["status"]["conditions"]:
                old = before[item["type"]]
                if old["status"] == item["status"]:
                    item["lastTransitionTime"] = old["lastTransitionTime"]

        self._cluster.edit("nodes", "", record.name, report, manager="kubelet", subresource="status")

    def _beat_later(self, record: NodeRecord, seconds: float) -> None:
        self._cluster.after(seconds, lambda: self._beat(record.name), ("heartbeat", record.name))

    def _beat(self, name: str) -> None:
        # By name: a node that went and came back between two beats goes on with the next.
        record = self._cluster.registry.nodes.get(name)
        if record is not None and record.is_alive:
            self._report_healthy(record)
            self._beat_later(record, _HEARTBEAT_SECONDS)

    def _mark_unknown(self, record: NodeRecord) -> None:
        if record.is_alive or record.name not in self._cluster.registry.nodes:
            return
        record.is_schedulable = False
        now = self._cluster.stamp

        def mark(node: Object) -> None:
            for item in node["status"]["conditions"]:
                item |= {"status": "Unknown", "lastTransitionTime": now, "reason": "NodeStatusUnknown"}
                item["message"] = "Kubelet stopped posting node status."

        self._cluster.edit("nodes", "", record.name, mark, manager=_MANAGER, subresource="status")
        self._say(record, "NodeNotReady", f"Node {record.name} status is now: NodeNotReady")
        self._taint(record, "NoSchedule")
        self._taint(record, "NoExecute")
        self._one_by_one(self._cluster.registry.on_node(record.name), self._mark_pod_not_ready)
        self._cluster.after(TOLERATION_SECONDS, lambda: self._evict(record))

    def _taint(self, record: NodeRecord, effect: str) -> None:
        taint = {"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": self._cluster.stamp}

        def add(node: Object) -> None:
            node["spec"]["taints"] = [*node["spec"].get("taints", ()), taint]

        self._cluster.edit("nodes", "", record.name, add, manager=_MANAGER)

    def _mark_pod_not_ready(self, record: PodRecord) -> None:
        if not record.is_ready:
            return

        def mark(pod: Object) -> None:
            for item in pod["status"].get("conditions") or ():
                if item.get("type") == "Ready":
                    item |= {"status": "False", "lastTransitionTime": self._cluster.stamp}

        pod = self._cluster.edit("pods", *record.key, mark, manager=_MANAGER, subresource="status")
        if pod is not None:
            self._recorder.post("node-controller", pod, "NodeNotReady", "Node is not ready", kind="Pod", warning=True)
        record.is_ready = False
        self._pods.notify(record)

    def _evict(self, record: NodeRecord) -> None:
        """Delete what does not tolerate the taint; without a kubelet the pods stay, terminating."""
        if record.is_alive:
            return
        self._one_by_one(self._cluster.registry.on_node(record.name), self._evict_pod)

    def _evict_pod(self, pod: PodRecord) -> None:
        node = self._cluster.registry.nodes.get(pod.node)
        if pod.owner_kind in {"DaemonSet", "Node"} or pod.is_terminating or node is None or node.is_alive:
            return
        obj = self._cluster.edit("pods", *pod.key, self._disrupt, manager=_MANAGER, subresource="status")
        if obj is not None:
            message = f"Marking for deletion Pod {pod.namespace}/{pod.name}"
            self._recorder.post("taint-eviction-controller", obj, "TaintManagerEviction", message, kind="Pod")
            self._pods.delete(pod)

    def _disrupt(self, pod: Object) -> None:
        pod["status"].setdefault("conditions", []).append(
            {
                "type": "DisruptionTarget",
                "observedGeneration": pod["metadata"].get("generation", 1),
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": self._cluster.stamp,
                "reason": "DeletionByTaintManager",
                "message": "Taint manager: deleting due to NoExecute taint",
            }
        )

    def _collect(self, pod: PodRecord) -> None:
        if self._cluster.registry.pods.get(pod.key) is not pod or pod.node in self._cluster.registry.nodes:
            return
        if pod.phase not in {"Succeeded", "Failed"}:

            def fail(obj: Object) -> None:
                obj.update(failed(obj, self._cluster.stamp))

            self._cluster.edit("pods", *pod.key, fail, manager=_MANAGER, subresource="status")
        self._pods.remove(pod)

    def _one_by_one(self, pods: list[PodRecord], act: Listener) -> None:
        """Do *act* to each, a little apart: a controller's workers, and no long stop of everything else."""
        for number, pod in enumerate(pods):
            self._cluster.after(0.01 * number, partial(act, pod))

    def _say(self, record: NodeRecord, reason: str, message: str, component: str = "node-controller") -> None:
        # Node Events name the node as its own uid, except the lifecycle controller's; ours always do.
        about = {"metadata": {"name": record.name, "uid": record.name}}
        self._recorder.post(component, about, reason, message, kind="Node")

    def _say_as_kubelet(self, record: NodeRecord, reason: str, message: str) -> None:
        about = {"metadata": {"name": record.name, "uid": record.name}}
        self._recorder.post("kubelet", about, reason, message, kind="Node", host=record.name)
