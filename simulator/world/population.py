"""
The first minute of a cluster that has been there for a while: everything in place, running and ready.

Written straight into the store, without the controllers: they would need a minute for it.
"""

from collections.abc import Iterator
from dataclasses import replace

from simulator.fargate import is_fargate
from simulator.world import groundwork, manifests
from simulator.world.catalog import FARGATE_APP, App, apps_for
from simulator.world.cluster import Cluster, Object, owner_reference
from simulator.world.deployments import Deployments, status_of
from simulator.world.endpoints import Endpoints
from simulator.world.fargate import Fargate
from simulator.world.fates import MISSING_INPUT
from simulator.world.naming import hexadecimal, uuid
from simulator.world.nodes import REGION, node_of, record_of_node
from simulator.world.podstatus import Container, pod_status, running
from simulator.world.registry import NodeRecord, record_of
from simulator.world.replicasets import ReplicaSets
from simulator.world.sets import daemon_pod, daemon_status, stateful_pod
from simulator.world.staticpods import mirror_pod
from simulator.world.templates import pod_of

_MANAGER = "kube-controller-manager"
_DAEMON_SETS = (
    ("kube-proxy", "602401143452.dkr.ecr.ap-northeast-2.amazonaws.com/eks/kube-proxy:v1.36.2"),
    ("aws-node", "602401143452.dkr.ecr.ap-northeast-2.amazonaws.com/amazon-k8s-cni:v1.21.1"),
)
_STATEFUL_SET = ("data", "postgres", 3)
LEADER_NAMESPACE, LEADER_NAME = "ingress-nginx", "ingress-nginx-leader"


class Population:
    """Puts *nodes* nodes, *fargate_nodes* of Fargate with a pod each, and about *pods* pods into an empty cluster."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        deployments: Deployments,
        replica_sets: ReplicaSets,
        endpoints: Endpoints,
        fargate: Fargate,
        nodes: int,
        fargate_nodes: int,
        pods: int,
    ) -> None:
        self._cluster = cluster
        self._deployments = deployments
        self._replica_sets = replica_sets
        self._endpoints = endpoints
        self._fargate = fargate
        self._node_count = nodes
        self._fargate_count = fargate_nodes
        self._pod_count = pods
        self._next_node: Iterator[NodeRecord] = iter(())

    def write(self) -> None:
        """Write everything. The store must have no nodes yet."""
        for make in (groundwork.namespaces, groundwork.classes, groundwork.rights):
            self._place(make())
        for make in (groundwork.limits, groundwork.extensions):
            self._place(make())
        is_large = self._pod_count > 100 * self._node_count
        for number in range(self._node_count):
            node = node_of(number, now=self._cluster.stamp, is_ready=True, is_large=is_large)
            record = record_of_node(self._cluster.create("nodes", node, "kubelet"))
            self._cluster.registry.nodes[record.name] = record
        self._next_node = self._spread()
        elsewhere = len(_DAEMON_SETS) * self._node_count + _STATEFUL_SET[2] + self._fargate_count + 1
        apps = apps_for(self._pod_count - elsewhere)
        if self._fargate_count:
            apps = (*apps, replace(FARGATE_APP, replicas=self._fargate_count))
        for number, app in enumerate(apps):
            self._add_app(app, number)
        for name, image in _DAEMON_SETS:
            self._add_daemon_set(name, image)
        self._add_stateful_set(*_STATEFUL_SET)
        self._add_static_pod()
        self._add_batch()

    def _place(self, objects: Iterator[groundwork.Placed]) -> None:
        for resource, obj, manager in objects:
            metadata = obj["metadata"]
            if not self._cluster.exists(resource, metadata.get("namespace", ""), metadata["name"]):
                self._cluster.create(resource, obj, manager)

    def _spread(self) -> Iterator[NodeRecord]:
        instances = list(self._cluster.registry.nodes.values())
        while True:
            yield from instances

    def _add_app(self, app: App, number: int) -> None:
        create = self._cluster.create
        create("serviceaccounts", manifests.service_account_of(app), app.manager)
        if app.has_config:
            create("configmaps", manifests.config_map_of(app), app.manager)
        if app.has_autoscaler:
            create("horizontalpodautoscalers", manifests.autoscaler_of(app), app.manager)
        if app.has_ingress:
            create("ingresses", manifests.ingress_of(app), app.manager)
        if app.replicas > 1:
            create("poddisruptionbudgets", manifests.disruption_budget_of(app), app.manager)
        service = create("services", manifests.service_of(app, number), app.manager)
        deployment = create("deployments", manifests.deployment_of(app), app.manager)
        replica_set = self._deployments.new_replica_set(deployment, replicas=app.replicas, revision=1)
        owner = owner_reference("apps/v1", "ReplicaSet", replica_set)
        template = replica_set["spec"]["template"]
        for _ in range(app.replicas):
            pod = pod_of(template, namespace=app.namespace, owner=owner, rng=self._cluster.rng)
            self._add_pod(pod, self._fargate.bring() if app.is_on_fargate else next(self._next_node))
        self._cluster.write_status("replicasets", replica_set, self._replica_sets.status_of(replica_set), _MANAGER)
        self._settle(deployment, replica_set)
        self._endpoints.create(service)

    def _settle(self, deployment: Object, replica_set: Object) -> None:
        """Write what the Deployment controller says of a Deployment whose rollout is long over."""
        name, now = deployment["metadata"]["name"], self._cluster.stamp
        progress = f'ReplicaSet "{replica_set["metadata"]["name"]}" has successfully progressed.'
        available = "Deployment has minimum availability."
        times = {"status": "True", "lastUpdateTime": now, "lastTransitionTime": now}
        status = status_of(deployment, replica_set, [])
        status["conditions"] = [
            {"type": "Available", **times, "reason": "MinimumReplicasAvailable", "message": available},
            {"type": "Progressing", **times, "reason": "NewReplicaSetAvailable", "message": progress},
        ]

        def annotate(obj: Object) -> None:
            obj["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "1"

        namespace = deployment["metadata"]["namespace"]
        written = self._cluster.edit("deployments", namespace, name, annotate, manager=_MANAGER)
        self._cluster.write_status("deployments", written or deployment, status, _MANAGER)

    def _add_pod(self, pod: Object, node: NodeRecord) -> None:
        """Write a pod as it stands after a while: bound, running, ready."""
        now = self._cluster.stamp
        pod["spec"]["nodeName"] = node.name
        pod["metadata"]["labels"] |= {
            "topology.kubernetes.io/region": REGION,
            "topology.kubernetes.io/zone": node.zone,
        }
        requests = pod["spec"]["containers"][0]["resources"]
        pod["status"] = {"phase": "Pending", "qosClass": "Burstable" if requests else "BestEffort"}
        stored = self._cluster.create("pods", pod, _MANAGER)
        container = Container(
            state=running(now),
            is_ready=True,
            is_started=True,
            container_id=f"containerd://{hexadecimal(self._cluster.rng, 64)}",
        )
        address = node.new_pod_address()
        status = pod_status(stored, container, phase="Running", now=now, host_ip=node.address, pod_ip=address)
        self._cluster.write_status("pods", stored, status, "kubelet")
        self._cluster.registry.add(record_of(stored))

    def _add_daemon_set(self, name: str, image: str) -> None:
        daemon_set = self._cluster.create("daemonsets", manifests.daemon_set_of(name, image), "eks")
        nodes = [node for node in self._cluster.registry.nodes.values() if not is_fargate(node.labels)]
        for node in nodes:
            self._add_pod(daemon_pod(daemon_set, node.name, self._cluster), node)
        pods = self._cluster.registry.of_owner(daemon_set["metadata"]["uid"])
        status = daemon_status(daemon_set, len(nodes), pods)
        self._cluster.write_status("daemonsets", daemon_set, status, _MANAGER)

    def _add_stateful_set(self, namespace: str, name: str, replicas: int) -> None:
        manifest = manifests.stateful_set_of(namespace, name, replicas)
        stateful_set = self._cluster.create("statefulsets", manifest, "helm")
        for ordinal in range(replicas):
            self._place(groundwork.volume(namespace, f"data-{name}-{ordinal}", uuid(self._cluster.rng)))
            self._add_pod(stateful_pod(stateful_set, ordinal, self._cluster), next(self._next_node))
        counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        status = {**stateful_set["status"], **dict.fromkeys(counts, replicas), "observedGeneration": 1}
        self._cluster.write_status("statefulsets", stateful_set, status, _MANAGER)

    def _add_static_pod(self) -> None:
        """Write the mirror of a static pod, of the first node alone."""
        record = next(iter(self._cluster.registry.nodes.values()))
        node = self._cluster.get("nodes", "", record.name)
        if node is not None:
            self._add_pod(mirror_pod(node, now=self._cluster.stamp), record)

    def _add_batch(self) -> None:
        source = [{"name": "INPUT", "value": "s3://exports/orders"}]
        missing = [{"name": "INPUT", "value": MISSING_INPUT}]
        for name, minutes, env in (("nightly-report", 2, source), ("cleanup", 5, []), ("reconcile", 15, missing)):
            self._cluster.create("cronjobs", manifests.cron_job_of(name, minutes, env), "kubectl-client-side-apply")
        leader = {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": LEADER_NAME, "namespace": LEADER_NAMESPACE},
        }
        self._cluster.create("configmaps", leader, "nginx-ingress-controller")
