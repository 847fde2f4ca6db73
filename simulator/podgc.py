"""How the pod garbage collector ends the pods of a node that is gone (pkg/controller/podgc)."""

from simulator.etcd import Etcd, Key
from simulator.versions import Object

_MANAGER = "kube-controller-manager"
_OVER = frozenset({"Succeeded", "Failed"})


def pods_of(etcd: Etcd, node: str) -> list[Key]:
    """Return the pods that are bound to a node, in the order of their keys."""
    pods = etcd.state(etcd.table.find("pods"))
    return sorted(key for key, pod in pods.items() if pod.facts.fields["spec.nodeName"] == node)


def collect(etcd: Etcd, namespace: str, name: str) -> None:
    """Mark a pod as failed by the collector, unless it is over, and delete it at once."""
    pod = etcd.get("pods", namespace, name)
    if pod is not None and pod.get("status", {}).get("phase") not in _OVER:
        etcd.update("pods", failed(pod, etcd.stamp), manager=_MANAGER, subresource="status")
    remove(etcd, namespace, name)


def failed(pod: Object, now: str) -> Object:
    """Return *pod* as the collector leaves it before it deletes it."""
    status = pod.get("status", {})
    target = {
        "type": "DisruptionTarget",
        "observedGeneration": pod["metadata"].get("generation", 1),
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
    }
    others = [item for item in status.get("conditions", ()) if item["type"] != "DisruptionTarget"]
    return {**pod, "status": {**status, "phase": "Failed", "conditions": [*others, target]}}


def remove(etcd: Etcd, namespace: str, name: str) -> None:
    """Delete a pod without grace: a write that says so, and the delete."""
    pod = etcd.get("pods", namespace, name)
    if pod is not None:
        pod["metadata"] |= {"deletionTimestamp": etcd.stamp, "deletionGracePeriodSeconds": 0}
        etcd.update("pods", pod, manager="", subresource="metadata")
        etcd.delete("pods", namespace, name)
