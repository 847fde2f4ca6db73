"""
What tests do with nodes and the pods on them, as scheduler, StatefulSet and pod garbage collector would do it.

In a living cluster the controllers notice and go on from there; a quiet one stays as it was put.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from simulator import podgc
from simulator.binding import TOPOLOGY, bound
from simulator.errors import StoreRefused
from simulator.etcd import Etcd
from simulator.fargate import COMPUTE_TYPE, FARGATE
from simulator.registering import BINDING
from simulator.versions import Object

Arguments = Mapping[str, Any]

_UNREACHABLE = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
_PLACE = ("ap-northeast-2", "ap-northeast-2a")
_CONTROLLERS = "kube-controller-manager"


class Placing:
    """Places pods, and makes nodes come and go."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd
        self._vanished: dict[str, Object] = {}
        self._timers: list[asyncio.TimerHandle] = []

    def close(self) -> None:
        """Drop what was still to come."""
        for timer in self._timers:
            timer.cancel()

    @property
    def verbs(self) -> Mapping[str, Callable[[Arguments], Object]]:
        """The verbs by name; each takes the arguments of its request."""
        return {
            "bind": lambda a: self.bind(a["namespace"], a["name"], a["node"]),
            "recreate": lambda a: self.recreate(a["namespace"], a["name"], node=a.get("node")),
            "node": lambda a: self.add_node(a["name"], is_fargate=a.get("fargate", False), labels=a.get("labels", {})),
            "vanish": lambda a: self.vanish(a["name"], pods_after=a.get("podsAfterSeconds")),
            "return-node": lambda a: self.return_node(a["name"]),
        }

    def bind(self, namespace: str, name: str, node: str) -> Object:
        """Bind a pod as the scheduler does, in one write that nobody owns; StoreRefused if it has a node already."""
        pod = self._pod(namespace, name)
        if taken := pod["spec"].get("nodeName"):
            raise StoreRefused(f'pod {name} is already assigned to node "{taken}"', is_missing=False)
        found = self._etcd.get("nodes", "", node)
        labels = {} if found is None else found["metadata"].get("labels", {})
        new = bound(pod, node, labels, self._etcd.stamp)
        return self._etcd.update("pods", new, manager="kube-scheduler", subresource=BINDING)

    def recreate(self, namespace: str, name: str, *, node: str | None = None) -> Object:
        """
        Delete a pod and create it again under its name, as a StatefulSet does: MODIFIED, DELETED, ADDED, bound.

        *node* is where it goes; None for where it was, "" for nowhere yet. Return the new pod.
        """
        old = self._pod(namespace, name)
        podgc.remove(self._etcd, namespace, name)
        kept = ("name", "generateName", "namespace", "labels", "annotations", "ownerReferences")
        metadata = {key: value for key, value in old["metadata"].items() if key in kept}
        if labels := {key: value for key, value in metadata.get("labels", {}).items() if key not in TOPOLOGY}:
            metadata["labels"] = labels
        spec = {key: value for key, value in old["spec"].items() if key != "nodeName"}
        status = {"phase": "Pending", "qosClass": old.get("status", {}).get("qosClass", "BestEffort")}
        pod = self._etcd.create("pods", {"metadata": metadata, "spec": spec, "status": status}, manager=_CONTROLLERS)
        target = old["spec"].get("nodeName", "") if node is None else node
        return self.bind(namespace, name, target) if target else pod

    def add_node(self, name: str, *, is_fargate: bool = False, labels: Mapping[str, str] | None = None) -> Object:
        """Register a node that is ready: of Fargate, it has room for one pod and a taint that keeps others off."""
        slots = "1" if is_fargate else "110"
        place = dict(zip(TOPOLOGY, _PLACE, strict=True))
        all_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **place, **(labels or {})}
        spec: Object = {"providerID": f"aws:///ap-northeast-2a/{name}"}
        if is_fargate:
            all_labels[COMPUTE_TYPE] = FARGATE
            spec["taints"] = [{"key": COMPUTE_TYPE, "value": FARGATE, "effect": "NoSchedule"}]
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
        capacity = {"cpu": "4", "memory": "16Gi", "pods": slots}
        status = {
            "capacity": capacity,
            "allocatable": dict(capacity),
            "conditions": [{**ready, **dict.fromkeys(("lastHeartbeatTime", "lastTransitionTime"), self._etcd.stamp)}],
            "addresses": [
                {"type": "InternalIP", "address": _address(name)},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {"kubeletVersion": "v1.36.2-eks-3cfe0ce", "operatingSystem": "linux", "architecture": "amd64"},
        }
        node = {"metadata": {"name": name, "labels": all_labels}, "spec": spec, "status": status}
        return self._etcd.create("nodes", node, manager="kubelet")

    def vanish(self, name: str, *, pods_after: float | None) -> Object:
        """
        Delete a Node; the pods that are still bound to it *pods_after* seconds later are collected, with None never.

        As the pod garbage collector looks again before it acts, a node that is back by then keeps its pods.
        """
        self._vanished[name] = gone = self._etcd.delete("nodes", "", name)
        if pods_after is None:
            return gone
        if pods_after <= 0:
            self._collect(name)
        else:
            self._timers.append(asyncio.get_running_loop().call_later(pods_after, self._collect, name))
        return gone

    def return_node(self, name: str) -> Object:
        """Register a node that vanished again: the same name, a new uid, ready. KeyError if none of that name did."""
        node = self._vanished[name]
        now = self._etcd.stamp
        kept = ("name", "labels", "annotations")
        metadata = {key: value for key, value in node["metadata"].items() if key in kept}
        taints = [taint for taint in node["spec"].get("taints", ()) if taint["key"] not in _UNREACHABLE]
        spec = {key: value for key, value in node["spec"].items() if key != "taints"} | (
            {"taints": taints} if taints else {}
        )
        status = dict(node.get("status", {}))
        status["conditions"] = [
            {**item, "status": "True" if item["type"] == "Ready" else "False"}
            | {"lastHeartbeatTime": now, "lastTransitionTime": now}
            for item in status.get("conditions", ())
        ]
        returned = self._etcd.create("nodes", {"metadata": metadata, "spec": spec, "status": status}, manager="kubelet")
        del self._vanished[name]
        return returned

    def _collect(self, node: str) -> None:
        if self._etcd.get("nodes", "", node) is None:
            for namespace, name in podgc.pods_of(self._etcd, node):
                podgc.collect(self._etcd, namespace, name)
            self._etcd.flush()

    def _pod(self, namespace: str, name: str) -> Object:
        pod = self._etcd.get("pods", namespace, name)
        if pod is None:
            raise StoreRefused(f"pods {name!r} not found", is_missing=True)
        return pod


def _address(node: str) -> str:
    """Return an address that goes with the name, in a range that no node of the living cluster has."""
    number = zlib.crc32(node.encode()) % 12_500
    return f"10.0.{100 + number // 250}.{number % 250 + 4}"
