"""The murmur of a cluster in which nothing happens: leader elections and autoscalers that look at their metric."""

from simulator.world.autoscaling import Autoscalers
from simulator.world.cluster import Cluster, Object
from simulator.world.population import LEADER_NAME, LEADER_NAMESPACE

_LEADER_KEY = "control-plane.alpha.kubernetes.io/leader"
_RENEW_SECONDS = 5.0
_METRIC_SECONDS = 15.0


class Background:
    """Writes that change nothing that anybody asks for: what a recorder must leave out."""

    def __init__(self, cluster: Cluster, autoscalers: Autoscalers) -> None:
        self._cluster = cluster
        self._autoscalers = autoscalers

    def adopt(self) -> None:
        """Begin."""
        self._renew()
        for item in self._cluster.list_whole("horizontalpodautoscalers"):
            metadata = item["metadata"]
            self._watch_later(metadata["namespace"], metadata["name"])

    def _renew(self) -> None:
        now = self._cluster.stamp
        record = f'{{"holderIdentity":"ingress-nginx-controller","leaseDurationSeconds":30,"renewTime":"{now}"}}'

        def renew(config: Object) -> None:
            config["metadata"].setdefault("annotations", {})[_LEADER_KEY] = record

        manager = "nginx-ingress-controller"
        self._cluster.edit("configmaps", LEADER_NAMESPACE, LEADER_NAME, renew, manager=manager)
        self._cluster.after(_RENEW_SECONDS, self._renew, "leader")

    def _watch_later(self, namespace: str, name: str) -> None:
        delay = self._cluster.between(_METRIC_SECONDS, 2 * _METRIC_SECONDS)
        self._cluster.after(delay, lambda: self._watch(namespace, name), ("metric", namespace, name))

    def _watch(self, namespace: str, name: str) -> None:
        deployment = self._cluster.get("deployments", namespace, name)
        if deployment is not None:
            utilization = self._cluster.rng.randint(44, 58)
            replicas = deployment["spec"]["replicas"]
            self._autoscalers.observe(namespace, name, utilization=utilization, replicas=replicas)
            self._watch_later(namespace, name)
