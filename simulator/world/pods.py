"""Pods as the API server handles them for controllers: created, told to go, gone; and who wants to know."""

from collections.abc import Callable

from simulator.world.cluster import Cluster, Object
from simulator.world.naming import stamp
from simulator.world.registry import PodRecord, record_of

Listener = Callable[[PodRecord], None]


class Pods:
    """
    Creates and deletes pods, keeps the registry true, and tells the controllers.

    The lists are filled by whoever puts the cluster together; they are called in order.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.created: list[Listener] = []
        self.stopping: list[Listener] = []
        self.changed: list[Listener] = []

    def create(self, pod: Object, manager: str = "kube-controller-manager") -> PodRecord:
        """Store a new pod and wake the scheduler."""
        requests = pod["spec"]["containers"][0]["resources"]
        pod["status"] = {"phase": "Pending", "qosClass": "Burstable" if requests else "BestEffort"}
        record = record_of(self._cluster.create("pods", pod, manager))
        self._cluster.registry.add(record)
        self.notify(record)
        for listener in self.created:
            listener(record)
        return record

    def delete(self, record: PodRecord, *, grace_seconds: int = 30) -> None:
        """Ask a pod to end: it carries a deletionTimestamp until its kubelet lets it go."""
        if record.is_terminating:
            return
        record.is_terminating = True
        record.life += 1
        if not record.node:
            self.remove(record)
            return

        def mark(pod: Object) -> None:
            pod["metadata"]["deletionTimestamp"] = stamp(self._cluster.now + grace_seconds)
            pod["metadata"]["deletionGracePeriodSeconds"] = grace_seconds

        self._cluster.edit("pods", record.namespace, record.name, mark, manager="", subresource="metadata")
        self.notify(record)
        for listener in self.stopping:
            listener(record)

    def remove(self, record: PodRecord) -> None:
        """Delete a pod at once, as a kubelet or the pod garbage collector does with a grace period of nothing."""

        def release(pod: Object) -> None:
            pod["metadata"]["deletionTimestamp"] = self._cluster.stamp
            pod["metadata"]["deletionGracePeriodSeconds"] = 0

        if self._cluster.edit("pods", record.namespace, record.name, release, manager="", subresource="metadata"):
            self._cluster.store.delete("pods", record.namespace, record.name)
        self.forget(record)

    def forget(self, record: PodRecord) -> None:
        """Strike out a pod that is gone from the store."""
        record.is_terminating = True
        record.life += 1
        self._cluster.registry.remove(record)
        self.notify(record)

    def notify(self, record: PodRecord) -> None:
        """Tell the controllers that a pod changed in a way that may matter to them."""
        for listener in self.changed:
            listener(record)
