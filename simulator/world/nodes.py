"""Node objects as EKS has them: labels, capacity, conditions, taints."""

from simulator.world.cluster import Object
from simulator.world.fates import memory_bytes
from simulator.world.registry import NodeRecord

REGION = "ap-northeast-2"
_ZONES = ("a", "b", "c")
_TYPES = (("m6i.xlarge", "4", "16Gi"), ("m6i.2xlarge", "8", "32Gi"), ("r6i.xlarge", "4", "32Gi"))
# EKS gives 110 pods with prefix delegation, 250 on large instances.
_SLOTS = 110
_SLOTS_LARGE = 250
_NO_ADDRESS = "10.0.0.4"
_HEALTHY = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("KubeletReady", "kubelet is posting ready status"),
}
STARTING_MESSAGE = (
    "KubeletNotReady",
    (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized"
    ),
)


def node_of(number: int, *, now: str, is_ready: bool, is_large: bool = False) -> Object:
    """Return the *number*-th node; a new one is not ready and carries the taint that says so."""
    address = f"10.0.{number // 250}.{number % 250 + 4}"
    name = f"ip-{address.replace('.', '-')}.{REGION}.compute.internal"
    kind, cpu, memory = _TYPES[number % len(_TYPES)]
    zone = f"{REGION}{_ZONES[number % len(_ZONES)]}"
    slots = str(_SLOTS_LARGE if is_large else _SLOTS)
    capacity = {"cpu": cpu, "ephemeral-storage": "83873772Ki", "memory": memory, "pods": slots}
    metadata: Object = {
        "name": name,
        "labels": {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "karpenter.sh/nodepool": "workers",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": kind,
            "topology.kubernetes.io/region": REGION,
            "topology.kubernetes.io/zone": zone,
        },
        "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
    }
    spec: Object = {"providerID": f"aws:///{zone}/i-{0x0A1B2C3D00000000 + number:017x}"}
    if not is_ready:
        spec["taints"] = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": now}]
    conditions = [condition(kind, now=now) for kind in _HEALTHY]
    if not is_ready:
        conditions[-1] |= {"status": "False", "reason": STARTING_MESSAGE[0], "message": STARTING_MESSAGE[1]}
    status: Object = {
        "capacity": capacity,
        "allocatable": dict(capacity),
        "conditions": conditions,
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": f"ec2{number:029x}",
            "systemUUID": f"ec2{number:05x}-0000-4000-a000-{number:012x}",
            "bootID": f"b007{number:04x}-0000-4000-a000-{number:012x}",
            "kernelVersion": "6.12.37-61.105.amzn2023.x86_64",
            "osImage": "Amazon Linux 2023.9.20261102",
            "containerRuntimeVersion": "containerd://2.1.4",
            "kubeletVersion": "v1.36.2-eks-3cfe0ce",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }
    return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status}


def condition(kind: str, *, now: str) -> Object:
    """Return a node condition that says that all is well."""
    reason, message = _HEALTHY[kind]
    return {
        "type": kind,
        "status": "True" if kind == "Ready" else "False",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def record_of_node(node: Object) -> NodeRecord:
    """Return the record of a node object."""
    metadata, status = node["metadata"], node["status"]
    address = next((item["address"] for item in status["addresses"] if item["type"] == "InternalIP"), _NO_ADDRESS)
    third, fourth = (int(part) for part in address.split(".")[2:])
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    return NodeRecord(
        name=metadata["name"],
        address=address,
        number=third * 250 + fourth - 4,
        zone=metadata["labels"].get("topology.kubernetes.io/zone", ""),
        slots=int(status["allocatable"]["pods"]),
        memory_bytes=memory_bytes(status["allocatable"]["memory"]),
        labels=metadata["labels"],
        is_alive=ready["status"] != "Unknown",
        is_schedulable=not node["spec"].get("taints"),
    )
