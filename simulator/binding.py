"""What the API server makes of a pod when it is bound: node, topology and condition in one write."""

from collections.abc import Mapping

from simulator.versions import Object

TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""The labels of a node that its pods are given (KEP-4742)."""


def bound(pod: Object, node: str, labels: Mapping[str, str], now: str) -> Object:
    """Return *pod* as it is once it is bound to a node with these labels."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    metadata = dict(pod["metadata"])
    topology = {key: labels[key] for key in TOPOLOGY if key in labels}
    if topology:
        metadata["labels"] = {**metadata.get("labels", {}), **topology}
    status = {**pod.get("status", {"phase": "Pending"}), "conditions": [scheduled]}
    return {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": node}, "status": status}
