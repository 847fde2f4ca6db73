"""
A static pod: a kubelet runs it from a file of its node and shows the API server a mirror, under a uid of its own.

The kubelet knows the pod by the hash of its file, which the mirror carries as an annotation; so do the log files
(pkg/kubelet/pod/mirror_client.go, pkg/kubelet/kuberuntime/helpers.go). EKS has none; people's own nodes have.
"""

import hashlib

from simulator.world.cluster import Object
from simulator.world.templates import pod_spec, small_container

NAME = "node-agent"
NAMESPACE = "kube-system"
IMAGE = "310987654321.dkr.ecr.ap-northeast-2.amazonaws.com/platform/node-agent:2.3.1"


def mirror_pod(node: Object, *, now: str) -> Object:
    """Return the mirror of the static pod on *node*."""
    name = node["metadata"]["name"]
    spec = pod_spec(small_container("app", IMAGE))
    for part in ("serviceAccount", "serviceAccountName"):
        del spec[part]
    spec |= {
        "nodeName": name,
        "hostNetwork": True,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 2000001000,
        "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
    }
    # 32 hexadecimal digits, of the file and the node.
    config_hash = hashlib.md5(f"{NAME} {IMAGE} {name}".encode(), usedforsecurity=False).hexdigest()
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{NAME}-{name}",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": NAME},
            "annotations": {
                "kubernetes.io/config.hash": config_hash,
                "kubernetes.io/config.mirror": config_hash,
                "kubernetes.io/config.seen": now,
                "kubernetes.io/config.source": "file",
            },
            # Unlike an owner that controls: the Node blocks nothing (mirror_client.go).
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"], "controller": True}
            ],
        },
        "spec": spec,
    }
