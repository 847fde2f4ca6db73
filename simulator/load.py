"""
Load: pod changes at a rate, as kubelets would report them, rendered from templates.

The pods are its own, in the namespace `load`; each change is a status update (a restart, a probe that failed or
passed) with the managedFields entry that goes with it. The message of the condition Ready tells when the version was
written, to the nanosecond: what comes out at the other end tells how long it took. An object is never decoded nor
compared on the way, which is what makes 10,000 changes a second possible beside serving them.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from simulator.etcd import Etcd
from simulator.fargate import is_fargate
from simulator.resource import Resource
from simulator.versions import Object, rendered, split_at_revision

NAMESPACE = "load"
TICK_SECONDS = 0.01
MAX_BURST = 2_000
"""Most changes made in one go: after a stall the rate is caught up in steps, not at once."""

PREPARED_AT_ONCE = 10
"""Pods made in one go before the first change; each costs a millisecond, and a loop must not stall for 20."""

WRITTEN = "written at "
"""Opens the message of the condition Ready; nanoseconds since the Unix epoch follow."""

_TIME, _READY, _RESTARTS, _WRITTEN = "@time", "@ready", 987654321, "@written"
_SLOTS = re.compile(rb'"@time"|"@ready"|"@status"|"@written"|987654321')


@dataclass(slots=True)
class PodTemplate:
    """One pod, rendered but for what changes."""

    name: str
    uid: str
    head: bytes
    pieces: list[bytes]
    slots: list[bytes]
    changes: int = 0

    def next(self, now: bytes) -> bytes:
        """Return what follows the resourceVersion in the pod's next version."""
        self.changes += 1
        is_ready = self.changes % 2 == 0
        values = {
            b'"@time"': now,
            b'"@ready"': b"true" if is_ready else b"false",
            b'"@status"': b'"True"' if is_ready else b'"False"',
            b'"@written"': b'"%b%d"' % (WRITTEN.encode(), time.time_ns()),
            b"987654321": b"%d" % (self.changes // 2),
        }
        parts = [self.pieces[0]]
        for slot, piece in zip(self.slots, self.pieces[1:], strict=True):
            parts += (values[slot], piece)
        return b"".join(parts)


class Load:
    """
    Changes pods in turn, *rate* a second; the rate may change while it runs.

    The pods are spread over the nodes that there are; in a cluster without any, over the names of *nodes* nodes.
    """

    def __init__(self, etcd: Etcd, *, pods: int, rate: float, nodes: int = 5) -> None:
        self.rate = rate
        self.changes = 0
        self._etcd = etcd
        self._pods = max(1, pods)
        self._nodes = max(1, nodes)
        self._templates: list[PodTemplate] = []
        self._turn = 0
        self._resource: Resource = etcd.table.find("pods")
        etcd.on_restore(self._templates.clear)

    async def run(self) -> None:
        """Change pods for ever; those that are missing are made first, a few at a time, so that watches go on."""
        started, made, rate = time.monotonic(), 0, self.rate
        while True:
            await asyncio.sleep(TICK_SECONDS if self.rate else TICK_SECONDS * 5)
            if self.rate and not self._is_prepared:
                self._prepare(PREPARED_AT_ONCE)
                started, made = time.monotonic(), 0
                continue
            if self.rate != rate:
                started, made, rate = time.monotonic(), 0, self.rate
            due = int((time.monotonic() - started) * rate) - made
            if due > 0:
                made += self.change(min(due, MAX_BURST))

    def change(self, count: int) -> int:
        """Make *count* changes now, round robin over the pods; return how many were made."""
        if not self._is_prepared:
            self._prepare(self._pods)
        now = datetime.now(UTC).strftime('"%Y-%m-%dT%H:%M:%SZ"').encode()
        state = self._etcd.state(self._resource)
        for _ in range(count):
            number = self._turn % len(self._templates)
            template = self._templates[number]
            self._turn += 1
            previous = state.get((NAMESPACE, template.name))
            if previous is None or previous.uid != template.uid:  # deleted, or made anew by a test
                template = self._templates[number] = self._made(number, self._node_names())
                previous = state[NAMESPACE, template.name]
            self._etcd.put_rendered(previous, template.head, template.next(now))
            self.changes += 1
        return count

    @property
    def _is_prepared(self) -> bool:
        return len(self._templates) == self._pods

    def _prepare(self, count: int) -> None:
        """Get the next *count* pods ready to be changed, as far as there are so many."""
        if self._etcd.get("namespaces", "", NAMESPACE) is None:
            self._etcd.create("namespaces", {"metadata": {"name": NAMESPACE}}, manager="kubectl-create")
        nodes, begin = self._node_names(), len(self._templates)
        self._templates += [self._made(number, nodes) for number in range(begin, min(begin + count, self._pods))]

    def _node_names(self) -> list[str]:
        nodes = self._etcd.state(self._etcd.table.find("nodes")).values()
        names = sorted(node.name for node in nodes if not is_fargate(node.facts.labels))
        return names or [f"node-{number:04d}" for number in range(self._nodes)]

    def _made(self, number: int, nodes: list[str]) -> PodTemplate:
        """Return the template of a pod, which is created if it is not there, and reported if no kubelet did."""
        name = f"load-{number:05d}"
        pod = self._etcd.get("pods", NAMESPACE, name)
        if pod is None:
            pod = self._etcd.create("pods", _pod(name, nodes[number % len(nodes)]), manager="kube-controller-manager")
        if "containerStatuses" not in pod["status"]:
            pod["status"] = _status(number, pod["metadata"]["creationTimestamp"])
            self._etcd.update("pods", pod, manager="kubelet", subresource="status")
        return self._template(name)

    def _template(self, name: str) -> PodTemplate:
        version = self._etcd.state(self._resource)[NAMESPACE, name]
        obj = version.object()
        status = obj["status"]
        restarts = int(status["containerStatuses"][0]["restartCount"])
        for entry in obj["metadata"]["managedFields"]:
            if entry["manager"] == "kubelet":
                entry["time"] = _TIME
        for condition in status["conditions"]:
            if condition["type"] in {"Ready", "ContainersReady"}:
                condition["status"], condition["lastTransitionTime"] = "@status", _TIME
            if condition["type"] == "Ready":
                condition["message"] = _WRITTEN
        container = status["containerStatuses"][0]
        container["ready"] = container["started"] = _READY
        container["restartCount"] = _RESTARTS
        head, tail = split_at_revision(rendered(obj))
        return PodTemplate(name, version.uid, head, _SLOTS.split(tail), _SLOTS.findall(tail), restarts * 2)


def _pod(name: str, node: str) -> Object:
    labels = {"app.kubernetes.io/name": "load", "app.kubernetes.io/part-of": "load", "pod-template-hash": "5d8f7c9b6d"}
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "8080",
            },
        },
        "spec": {
            "containers": [
                {
                    "name": "load",
                    "image": "public.ecr.aws/x/load:1.0",
                    "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                    "env": [{"name": "LEVEL", "value": "info"}, {"name": "REGION", "value": "ap-northeast-2"}],
                    "resources": {
                        "limits": {"cpu": "500m", "memory": "256Mi"},
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent",
                }
            ],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "nodeName": node,
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{trouble}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for trouble in ("not-ready", "unreachable")
            ],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {"phase": "Running", "qosClass": "Burstable"},
    }


def _status(number: int, at: str) -> Object:
    address = f"10.2.{number // 250 % 250}.{number % 250 + 1}"
    digest = f"{number:064x}"
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": at}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    # Owned by the kubelet from the first version on, as whoever writes a message owns it.
    conditions[1]["message"] = f"{WRITTEN}{time.time_ns()}"
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": f"10.1.0.{number % 5}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": at,
        "containerStatuses": [
            {
                "name": "load",
                "state": {"running": {"startedAt": at}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "public.ecr.aws/x/load:1.0",
                "imageID": f"public.ecr.aws/x/load@sha256:{digest}",
                "containerID": f"containerd://{digest}",
                "started": True,
            }
        ],
        "qosClass": "Burstable",
    }
