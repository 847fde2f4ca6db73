"""Fargate: each pod of a profile gets a node of its own, and the node goes with its pod. No DaemonSet runs there."""

from simulator.fargate import COMPUTE_TYPE, FARGATE, is_fargate
from simulator.world.cluster import Cluster
from simulator.world.nodelife import NodeLife
from simulator.world.nodes import node_of, record_of_node
from simulator.world.registry import NodeRecord, PodRecord

# Above every node that Karpenter brings, so that names and addresses never meet.
_FIRST_NUMBER = 20_000


class Fargate:
    """Brings a node for a pod, and takes it away."""

    def __init__(self, cluster: Cluster, node_life: NodeLife) -> None:
        self._cluster = cluster
        self._node_life = node_life
        self._last_number = _FIRST_NUMBER - 1

    def bring(self) -> NodeRecord:
        """Register a new node with room for one pod."""
        taken = (node.number for node in self._cluster.registry.nodes.values() if is_fargate(node.labels))
        # Never the number of a node that went: a name that came again would be the same node to whoever watches.
        self._last_number = max((self._last_number, *taken)) + 1
        node = node_of(self._last_number, now=self._cluster.stamp, is_ready=True)
        metadata, status = node["metadata"], node["status"]
        metadata["name"] = f"fargate-{metadata['name']}"
        labels = metadata["labels"]
        for label in ("karpenter.sh/nodepool", "node.kubernetes.io/instance-type"):
            del labels[label]
        labels |= {COMPUTE_TYPE: FARGATE, "kubernetes.io/hostname": metadata["name"]}
        node["spec"]["taints"] = [{"key": COMPUTE_TYPE, "value": FARGATE, "effect": "NoSchedule"}]
        status["capacity"] |= {"pods": "1"}
        status["allocatable"] |= {"pods": "1"}
        status["addresses"][1]["address"] = metadata["name"]
        record = record_of_node(self._cluster.create("nodes", node, "kubelet"))
        self._node_life.enter(record)
        return record

    def pod_changed(self, record: PodRecord) -> None:
        """Take a node away soon after its pod is gone."""
        registry = self._cluster.registry
        node = registry.nodes.get(record.node)
        if node is not None and is_fargate(node.labels) and registry.pods.get(record.key) is not record:
            delay = self._cluster.between(1, 3)
            self._cluster.after(delay, lambda: self._take_away(node), ("fargate", node.name))

    def _take_away(self, node: NodeRecord) -> None:
        if self._cluster.registry.nodes.get(node.name) is node and not node.pods:
            self._node_life.forget(node.name)
            self._cluster.store.delete("nodes", "", node.name)
