"""The ReplicaSet controller: as many pods as it says, and a status that counts them."""

from collections.abc import Callable

from simulator.world.cluster import Cluster, Object, owner_reference
from simulator.world.events import Recorder
from simulator.world.pods import Pods
from simulator.world.registry import PodRecord
from simulator.world.templates import pod_of

_MANAGER = "kube-controller-manager"


class ReplicaSets:
    """All ReplicaSets; `changed` is called with (namespace, name of the Deployment) after a status was written."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pods: Pods) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._pods = pods
        self.changed: list[Callable[[str, str], None]] = []

    def pod_changed(self, record: PodRecord) -> None:
        """Look at the ReplicaSet of a pod that changed, soon."""
        if record.owner_kind == "ReplicaSet":
            self.enqueue(record.namespace, record.owner_name)

    def enqueue(self, namespace: str, name: str) -> None:
        """Look at a ReplicaSet soon, once."""
        self._cluster.after(0.1, lambda: self._sync(namespace, name), ("replicaset", namespace, name))

    def _sync(self, namespace: str, name: str) -> None:
        replica_set = self._cluster.get("replicasets", namespace, name)
        if replica_set is None:
            return
        pods = self._cluster.registry.of_owner(replica_set["metadata"]["uid"])
        active = [pod for pod in pods if pod.is_active]
        missing = replica_set["spec"]["replicas"] - len(active)
        for _ in range(missing):
            self._create_pod(replica_set)
        for pod in sorted(active, key=_first_to_go)[: max(0, -missing)]:
            self._delete_pod(replica_set, pod)
        status = self.status_of(replica_set)
        if replica_set.get("status") != status:
            self._cluster.write_status("replicasets", replica_set, status, _MANAGER)
            owners = replica_set["metadata"].get("ownerReferences", ())
            for owner in owners:
                for listener in self.changed:
                    listener(namespace, owner["name"])

    def status_of(self, replica_set: Object) -> Object:
        """Return the status of a ReplicaSet by the pods it has."""
        pods = self._cluster.registry.of_owner(replica_set["metadata"]["uid"])
        active = [pod for pod in pods if pod.is_active]
        ready = sum(pod.is_ready for pod in active)
        status: Object = {"replicas": len(active)}
        if active:
            status["fullyLabeledReplicas"] = len(active)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        status["terminatingReplicas"] = sum(pod.is_terminating for pod in pods)
        status["observedGeneration"] = replica_set["metadata"].get("generation", 1)
        return status

    def collect(self, namespace: str, name: str) -> None:
        """Delete a ReplicaSet whose owner is gone, and its pods."""
        replica_set = self._cluster.get("replicasets", namespace, name)
        if replica_set is None:
            return
        self._cluster.store.delete("replicasets", namespace, name)
        for pod in self._cluster.registry.of_owner(replica_set["metadata"]["uid"]):
            self._pods.delete(pod)

    def _create_pod(self, replica_set: Object) -> None:
        owner = owner_reference("apps/v1", "ReplicaSet", replica_set)
        namespace = replica_set["metadata"]["namespace"]
        pod = pod_of(replica_set["spec"]["template"], namespace=namespace, owner=owner, rng=self._cluster.rng)
        record = self._pods.create(pod, _MANAGER)
        self._say(replica_set, "SuccessfulCreate", f"Created pod: {record.name}")

    def _delete_pod(self, replica_set: Object, pod: PodRecord) -> None:
        self._pods.delete(pod)
        self._say(replica_set, "SuccessfulDelete", f"Deleted pod: {pod.name}")

    def _say(self, replica_set: Object, reason: str, message: str) -> None:
        self._recorder.post(
            "replicaset-controller", replica_set, reason, message, kind="ReplicaSet", api_version="apps/v1"
        )


def _first_to_go(pod: PodRecord) -> tuple[bool, bool, bool, int, int]:
    """Sort as controller.ActivePodsWithRanks: unassigned, pending, not ready, often restarted, young pods first."""
    return bool(pod.node), pod.phase == "Running", pod.is_ready, -pod.restarts, -pod.order
