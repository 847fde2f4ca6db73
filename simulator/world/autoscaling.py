"""The HorizontalPodAutoscaler controller, told by the stories how busy the application is."""

from simulator.world.cluster import Cluster, Object
from simulator.world.deployments import Deployments
from simulator.world.events import Recorder

_MANAGER = "kube-controller-manager"


class Autoscalers:
    """Scales through the scale subresource, as the real one does, and writes what it saw to the status."""

    def __init__(self, cluster: Cluster, recorder: Recorder, deployments: Deployments) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._deployments = deployments

    def observe(self, namespace: str, name: str, *, utilization: int, replicas: int) -> None:
        """See *utilization* in percent of the request, and set the Deployment of that name to *replicas*."""
        autoscaler = self._cluster.get("horizontalpodautoscalers", namespace, name)
        deployment = self._cluster.get("deployments", namespace, name)
        if autoscaler is None or deployment is None:
            return
        current = deployment["spec"]["replicas"]
        status = self.status_of(autoscaler, current=current, desired=replicas, utilization=utilization)
        if replicas != current:
            status["lastScaleTime"] = self._cluster.stamp
            self._scale(namespace, name, replicas)
            cause = (
                "cpu resource utilization (percentage of request) above target"
                if replicas > current
                else "All metrics below target"
            )
            self._recorder.post(
                "horizontal-pod-autoscaler",
                autoscaler,
                "SuccessfulRescale",
                f"New size: {replicas}; reason: {cause}",
                kind="HorizontalPodAutoscaler",
                api_version="autoscaling/v2",
            )
        self._cluster.write_status("horizontalpodautoscalers", autoscaler, status, _MANAGER)

    def status_of(self, autoscaler: Object, *, current: int, desired: int, utilization: int) -> Object:
        """Return the status of an autoscaler that found its metric."""
        spec, old = autoscaler["spec"], autoscaler.get("status", {})
        before = {item["type"]: item for item in old.get("conditions", ())}
        request = 100
        status: Object = {"lastScaleTime": old["lastScaleTime"]} if "lastScaleTime" in old else {}
        value = {"averageValue": f"{request * utilization // 100}m", "averageUtilization": utilization}
        status |= {
            "currentReplicas": current,
            "desiredReplicas": desired,
            "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": value}}],
        }
        is_limited = desired in {spec["minReplicas"], spec["maxReplicas"]}
        metric = "cpu resource utilization (percentage of request)"
        found = (
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
            ("ScalingActive", "True", "ValidMetricFound", _valid(metric)),
            (
                "ScalingLimited",
                "True",
                "TooFewReplicas",
                "the desired replica count is less than the minimum replica count",
            )
            if is_limited
            else ("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"),
        )
        status["conditions"] = [self._condition(before.get(item[0], {}), *item) for item in found]
        return status

    def _condition(self, old: Object, kind: str, value: str, reason: str, message: str) -> Object:
        is_same = old.get("status") == value
        transition = old["lastTransitionTime"] if is_same else self._cluster.stamp
        condition = {"type": kind, "status": value, "lastTransitionTime": transition}
        return {**condition, "reason": reason, "message": message}

    def _scale(self, namespace: str, name: str, replicas: int) -> None:
        def scale(deployment: Object) -> None:
            deployment["spec"]["replicas"] = replicas

        self._cluster.edit("deployments", namespace, name, scale, manager=_MANAGER, subresource="scale")
        self._deployments.enqueue(namespace, name)


def _valid(metric: str) -> str:
    return f"the HPA was able to successfully calculate a replica count from {metric}"
