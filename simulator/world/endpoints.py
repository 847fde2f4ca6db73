"""The EndpointSlice controller: the pods behind a Service, ready or not."""

from simulator.world.cluster import Cluster, Object, owner_reference
from simulator.world.naming import suffix
from simulator.world.registry import PodRecord

_MANAGER = "kube-controller-manager"
_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
# As --max-endpoints-per-slice; our Services stay below it, the rest is left out.
_LARGEST = 100


class Endpoints:
    """The slices of all Services that select an application; one slice for each."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._slices: dict[tuple[str, str], str] = {}

    def adopt(self) -> None:
        """Learn which slices there are, and look at each."""
        self._slices.clear()
        for item in self._cluster.list_whole("endpointslices"):
            metadata = item["metadata"]
            service = metadata["labels"].get("kubernetes.io/service-name", "")
            self._slices[metadata["namespace"], service] = metadata["name"]
            self._enqueue(metadata["namespace"], service)

    def pod_changed(self, record: PodRecord) -> None:
        """Look at the Service of a pod that changed, soon: the controller batches for half a second."""
        if (record.namespace, record.app) in self._slices:
            self._enqueue(record.namespace, record.app)

    def create(self, service: Object) -> None:
        """Create the slice of a new Service."""
        metadata = service["metadata"]
        name = f"{metadata['name']}-{suffix(self._cluster.rng)}"
        self._slices[metadata["namespace"], metadata["name"]] = name
        self._cluster.create(
            "endpointslices",
            {
                "kind": "EndpointSlice",
                "apiVersion": "discovery.k8s.io/v1",
                "metadata": {
                    "name": name,
                    "generateName": f"{metadata['name']}-",
                    "namespace": metadata["namespace"],
                    "labels": {
                        **metadata.get("labels", {}),
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                        "kubernetes.io/service-name": metadata["name"],
                    },
                    "annotations": {_TRIGGER: self._cluster.stamp},
                    "ownerReferences": [owner_reference("v1", "Service", service)],
                },
                "addressType": "IPv4",
                "endpoints": self._endpoints(metadata["namespace"], metadata["name"]),
                "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
            },
            _MANAGER,
        )

    def _enqueue(self, namespace: str, service: str) -> None:
        self._cluster.after(0.5, lambda: self._sync(namespace, service), ("endpoints", namespace, service))

    def _sync(self, namespace: str, service: str) -> None:
        found = self._cluster.get("endpointslices", namespace, self._slices[namespace, service])
        if found is None:
            return
        endpoints = self._endpoints(namespace, service)
        if endpoints != found["endpoints"]:
            found["endpoints"] = endpoints
            found["metadata"]["annotations"][_TRIGGER] = self._cluster.stamp
            self._cluster.store.update("endpointslices", found, manager=_MANAGER)

    def _endpoints(self, namespace: str, service: str) -> list[Object]:
        pods = self._cluster.registry.of_app(namespace, service)
        endpoints = (self._endpoint(pod) for pod in pods if pod.address and pod.phase == "Running")
        return [endpoint for endpoint in endpoints if endpoint is not None][:_LARGEST]

    def _endpoint(self, pod: PodRecord) -> Object | None:
        node = self._cluster.registry.nodes.get(pod.node)
        if node is None:
            return None
        return {
            "addresses": [pod.address],
            "conditions": {
                "ready": pod.is_ready and not pod.is_terminating,
                "serving": pod.is_ready,
                "terminating": pod.is_terminating,
            },
            "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
            "nodeName": pod.node,
            "zone": node.zone,
        }
