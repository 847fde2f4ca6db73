"""The StatefulSet and DaemonSet controllers: named replicas in order, and one pod on each node."""

from simulator.fargate import is_fargate
from simulator.world.cluster import Cluster, Object, owner_reference
from simulator.world.events import Recorder
from simulator.world.pods import Pods
from simulator.world.registry import PodRecord
from simulator.world.templates import pod_of

_MANAGER = "kube-controller-manager"


class Sets:
    """All StatefulSets and DaemonSets."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pods: Pods) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._pods = pods
        self._daemon_sets: list[tuple[str, str]] = []

    def adopt(self) -> None:
        """Look at all of them."""
        listed = self._cluster.list_whole("daemonsets")
        self._daemon_sets = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listed]
        self.nodes_changed()
        for item in self._cluster.list_whole("statefulsets"):
            self._enqueue("StatefulSet", item["metadata"]["namespace"], item["metadata"]["name"])

    def daemon_set_seen(self, namespace: str, name: str) -> None:
        """Look at a DaemonSet that somebody else made or changed, soon."""
        if (namespace, name) not in self._daemon_sets:
            self._daemon_sets.append((namespace, name))
            self._enqueue("DaemonSet", namespace, name)

    def pod_changed(self, record: PodRecord) -> None:
        """Look at the owner of a pod that changed, soon."""
        if record.owner_kind in {"StatefulSet", "DaemonSet"}:
            self._enqueue(record.owner_kind, record.namespace, record.owner_name)

    def nodes_changed(self, _: object = None) -> None:
        """Look at the DaemonSets, because a node came or went."""
        for namespace, name in self._daemon_sets:
            self._enqueue("DaemonSet", namespace, name)

    def _enqueue(self, kind: str, namespace: str, name: str) -> None:
        sync = self._sync_stateful if kind == "StatefulSet" else self._sync_daemon
        self._cluster.after(0.2, lambda: sync(namespace, name), (kind, namespace, name))

    def _sync_stateful(self, namespace: str, name: str) -> None:
        stateful_set = self._cluster.get("statefulsets", namespace, name)
        if stateful_set is None:
            return
        pods = {pod.name: pod for pod in self._cluster.registry.of_owner(stateful_set["metadata"]["uid"])}
        # OrderedReady: the next is made when the one before is ready.
        for ordinal in range(stateful_set["spec"]["replicas"]):
            pod = pods.get(f"{name}-{ordinal}")
            if pod is None:
                self._create_ordinal(stateful_set, ordinal)
                break
            if not pod.is_ready:
                break
        ready = sum(pod.is_ready for pod in pods.values())
        status = {**stateful_set.get("status", {}), "observedGeneration": stateful_set["metadata"]["generation"]}
        for key in ("replicas", "currentReplicas", "updatedReplicas"):
            status[key] = len(pods)
        status |= {"readyReplicas": ready, "availableReplicas": ready}
        if not ready:
            del status["readyReplicas"]
        self._cluster.write_status("statefulsets", stateful_set, status, _MANAGER)

    def _create_ordinal(self, stateful_set: Object, ordinal: int) -> None:
        pod = stateful_pod(stateful_set, ordinal, self._cluster)
        name = stateful_set["metadata"]["name"]
        self._pods.create(pod, _MANAGER)
        message = f"create Pod {name}-{ordinal} in StatefulSet {name} successful"
        self._recorder.post(
            "statefulset-controller",
            stateful_set,
            "SuccessfulCreate",
            message,
            kind="StatefulSet",
            api_version="apps/v1",
        )

    def _sync_daemon(self, namespace: str, name: str) -> None:
        daemon_set = self._cluster.get("daemonsets", namespace, name)
        if daemon_set is None:
            return
        nodes = [node.name for node in self._cluster.registry.nodes.values() if not is_fargate(node.labels)]
        pods = self._cluster.registry.of_owner(daemon_set["metadata"]["uid"])
        placed = {pod.pinned for pod in pods}
        for node in [node for node in nodes if node not in placed]:
            record = self._pods.create(daemon_pod(daemon_set, node, self._cluster), _MANAGER)
            self._recorder.post(
                "daemonset-controller",
                daemon_set,
                "SuccessfulCreate",
                f"Created pod: {record.name}",
                kind="DaemonSet",
                api_version="apps/v1",
            )
        on_nodes = [pod for pod in self._cluster.registry.of_owner(daemon_set["metadata"]["uid"]) if pod.is_active]
        self._cluster.write_status("daemonsets", daemon_set, daemon_status(daemon_set, len(nodes), on_nodes), _MANAGER)


def stateful_pod(stateful_set: Object, ordinal: int, cluster: Cluster) -> Object:
    """Return the *ordinal*-th pod of a StatefulSet, with its claim."""
    metadata = stateful_set["metadata"]
    owner = owner_reference("apps/v1", "StatefulSet", stateful_set)
    name = f"{metadata['name']}-{ordinal}"
    template = stateful_set["spec"]["template"]
    pod = pod_of(template, namespace=metadata["namespace"], owner=owner, rng=cluster.rng, name=name)
    pod["metadata"]["generateName"] = f"{metadata['name']}-"
    pod["metadata"]["labels"] |= {
        "apps.kubernetes.io/pod-index": str(ordinal),
        "controller-revision-hash": stateful_set["status"]["currentRevision"],
        "statefulset.kubernetes.io/pod-name": name,
    }
    for claim in stateful_set["spec"].get("volumeClaimTemplates", ()):
        title = claim["metadata"]["name"]
        volume = {"name": title, "persistentVolumeClaim": {"claimName": f"{title}-{name}"}}
        pod["spec"]["volumes"].insert(0, volume)
    pod["spec"] |= {"hostname": name, "subdomain": stateful_set["spec"]["serviceName"]}
    return pod


def daemon_pod(daemon_set: Object, node: str, cluster: Cluster) -> Object:
    """Return the pod of a DaemonSet for *node*."""
    metadata = daemon_set["metadata"]
    owner = owner_reference("apps/v1", "DaemonSet", daemon_set)
    template = daemon_set["spec"]["template"]
    pod = pod_of(template, namespace=metadata["namespace"], owner=owner, rng=cluster.rng, daemon_node=node)
    pod["metadata"]["labels"] |= {"controller-revision-hash": "79c6f9d4bd", "pod-template-generation": "1"}
    return pod


def daemon_status(daemon_set: Object, nodes: int, pods: list[PodRecord]) -> Object:
    """Return the status of a DaemonSet that has *pods* on *nodes* nodes."""
    ready = sum(pod.is_ready for pod in pods)
    status: Object = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": nodes,
        "numberReady": ready,
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        "updatedNumberScheduled": len(pods),
    }
    if ready:
        status["numberAvailable"] = ready
    if nodes > ready:
        status["numberUnavailable"] = nodes - ready
    return status
