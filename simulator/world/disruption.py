"""The disruption controller: how many pods a PodDisruptionBudget would let go now."""

from simulator.world.cluster import Cluster
from simulator.world.registry import PodRecord

_MANAGER = "kube-controller-manager"


class Disruption:
    """The budgets that carry the name of the application they protect; with `maxUnavailable` as a number."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._budgets: set[tuple[str, str]] = set()

    def adopt(self) -> None:
        """Learn which budgets there are, and look at each."""
        self._budgets.clear()
        for budget in self._cluster.list_whole("poddisruptionbudgets"):
            metadata = budget["metadata"]
            self._budgets.add((metadata["namespace"], metadata["name"]))
            self._enqueue(metadata["namespace"], metadata["name"])

    def pod_changed(self, record: PodRecord) -> None:
        """Look at the budget of a pod that changed, soon."""
        if (record.namespace, record.app) in self._budgets:
            self._enqueue(record.namespace, record.app)

    def _enqueue(self, namespace: str, name: str) -> None:
        self._cluster.after(0.5, lambda: self._sync(namespace, name), ("budget", namespace, name))

    def _sync(self, namespace: str, name: str) -> None:
        budget = self._cluster.get("poddisruptionbudgets", namespace, name)
        deployment = self._cluster.get("deployments", namespace, name)
        if budget is None or deployment is None:
            return
        expected = deployment["spec"]["replicas"]
        healthy = sum(pod.is_ready and pod.is_active for pod in self._cluster.registry.of_app(namespace, name))
        desired = max(0, expected - budget["spec"]["maxUnavailable"])
        status = {
            **budget.get("status", {}),
            "disruptionsAllowed": max(0, healthy - desired),
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "observedGeneration": budget["metadata"].get("generation", 1),
        }
        self._cluster.write_status("poddisruptionbudgets", budget, status, _MANAGER)
