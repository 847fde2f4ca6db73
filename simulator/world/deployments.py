"""The Deployment controller: a ReplicaSet for each template, a rolling update between them, a status that tells."""

import math
from functools import partial

from simulator.world.cluster import Cluster, Object, copied, owner_reference
from simulator.world.events import Recorder
from simulator.world.naming import template_hash
from simulator.world.replicasets import ReplicaSets

_MANAGER = "kube-controller-manager"
_REVISION = "deployment.kubernetes.io/revision"
_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAX = "deployment.kubernetes.io/max-replicas"
_SURGE = 0.25


class Deployments:
    """All Deployments, strategy RollingUpdate with a quarter of surge and a quarter unavailable."""

    def __init__(self, cluster: Cluster, recorder: Recorder, replica_sets: ReplicaSets) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._replica_sets = replica_sets
        self._owned: dict[tuple[str, str], dict[str, None]] = {}
        replica_sets.changed.append(self.enqueue)

    def adopt(self) -> None:
        """Learn which ReplicaSets there are, and look at every Deployment."""
        self._owned.clear()
        for replica_set in self._cluster.list_whole("replicasets"):
            metadata = replica_set["metadata"]
            for owner in metadata.get("ownerReferences", ()):
                self._note(metadata["namespace"], owner["name"], metadata["name"])
            self._replica_sets.enqueue(metadata["namespace"], metadata["name"])
        for deployment in self._cluster.list_whole("deployments"):
            self.enqueue(deployment["metadata"]["namespace"], deployment["metadata"]["name"])

    def enqueue(self, namespace: str, name: str) -> None:
        """Look at a Deployment soon, once."""
        self._cluster.after(0.2, lambda: self._sync(namespace, name), ("deployment", namespace, name))

    def replica_sets_of(self, deployment: Object) -> list[Object]:
        """Return the ReplicaSets of a Deployment, by revision."""
        metadata = deployment["metadata"]
        names = self._owned.get((metadata["namespace"], metadata["name"]), {})
        found = [(name, self._cluster.get("replicasets", metadata["namespace"], name)) for name in names]
        for name in [name for name, item in found if item is None]:
            del names[name]
        return sorted((item for _, item in found if item is not None), key=revision_of)

    def collect(self, namespace: str, name: str) -> None:
        """Clear away what a deleted Deployment owned, as the garbage collector does in the background."""
        for owned in self._owned.pop((namespace, name), {}):
            self._cluster.after(0.1, partial(self._replica_sets.collect, namespace, owned))

    def new_replica_set(self, deployment: Object, *, replicas: int, revision: int) -> Object:
        """Create the ReplicaSet of the present template."""
        metadata = deployment["metadata"]
        digest = template_hash(deployment["spec"]["template"])
        template = copied(deployment["spec"]["template"])
        template["metadata"].setdefault("labels", {})["pod-template-hash"] = digest
        desired = deployment["spec"]["replicas"]
        replica_set: Object = {
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {
                    _DESIRED: str(desired),
                    _MAX: str(desired + _surge(desired)),
                    _REVISION: str(revision),
                },
                "ownerReferences": [owner_reference("apps/v1", "Deployment", deployment)],
            },
            "spec": {
                "replicas": replicas,
                "selector": {
                    "matchLabels": {**deployment["spec"]["selector"]["matchLabels"], "pod-template-hash": digest}
                },
                "template": template,
            },
            "status": {"replicas": 0},
        }
        self._note(metadata["namespace"], metadata["name"], replica_set["metadata"]["name"])
        return self._cluster.create("replicasets", replica_set, _MANAGER)

    def _note(self, namespace: str, deployment: str, replica_set: str) -> None:
        self._owned.setdefault((namespace, deployment), {})[replica_set] = None

    def _sync(self, namespace: str, name: str) -> None:
        deployment = self._cluster.get("deployments", namespace, name)
        if deployment is None:
            return
        sets = self.replica_sets_of(deployment)
        digest = template_hash(deployment["spec"]["template"])
        current = next((item for item in sets if item["metadata"]["labels"]["pod-template-hash"] == digest), None)
        newest = max((revision_of(item) for item in sets), default=0)
        if current is None or revision_of(current) < newest:
            current = self._raise(deployment, current, newest + 1)
            sets = [item for item in sets if item["metadata"]["name"] != current["metadata"]["name"]] + [current]
        old = [item for item in sets if item is not current]
        self._scale(deployment, current, old)
        self._write_status(deployment, current, old)
        self._forget_old(deployment, old)

    def _raise(self, deployment: Object, existing: Object | None, revision: int) -> Object:
        """Make the present template the newest revision: a new ReplicaSet, or an old one again (a rollback)."""
        if existing is None:
            current = self.new_replica_set(deployment, replicas=0, revision=revision)
            condition = ("NewReplicaSetCreated", f'Created new replica set "{current["metadata"]["name"]}"')
        else:
            annotations = existing["metadata"]["annotations"]
            history = [*filter(None, annotations.get(f"{_REVISION}-history", "").split(",")), annotations[_REVISION]]
            annotations |= {_REVISION: str(revision), f"{_REVISION}-history": ",".join(history[-5:])}
            current = self._cluster.store.update("replicasets", existing, manager=_MANAGER)
            condition = ("FoundNewReplicaSet", f'Found new replica set "{current["metadata"]["name"]}"')

        def annotate(obj: Object) -> None:
            obj["metadata"].setdefault("annotations", {})[_REVISION] = str(revision)

        metadata = deployment["metadata"]
        written = self._cluster.edit("deployments", metadata["namespace"], metadata["name"], annotate, manager=_MANAGER)
        if written is not None:
            deployment.clear()
            deployment.update(written)
        status = copied(deployment.get("status", {}))
        self._set_condition(status, "Progressing", "True", *condition)
        self._cluster.write_status("deployments", deployment, status, _MANAGER)
        return current

    def _scale(self, deployment: Object, current: Object, old: list[Object]) -> None:
        desired = deployment["spec"]["replicas"]
        total = sum(item["spec"]["replicas"] for item in (current, *old))
        if not any(item["spec"]["replicas"] for item in old):
            self._resize(deployment, current, desired)
            return
        room = desired + _surge(desired) - total
        if room > 0 and current["spec"]["replicas"] < desired:
            self._resize(deployment, current, min(desired, current["spec"]["replicas"] + room))
        elif current["spec"]["replicas"] > desired:
            self._resize(deployment, current, desired)
        self._shrink(deployment, current, old)

    def _shrink(self, deployment: Object, current: Object, old: list[Object]) -> None:
        """Take pods from old ReplicaSets: broken ones first, then as many as availability allows."""
        desired = deployment["spec"]["replicas"]
        for item in old:
            broken = item["spec"]["replicas"] - _available(item)
            if broken > 0 and item["status"].get("observedGeneration") == item["metadata"].get("generation"):
                self._resize(deployment, item, item["spec"]["replicas"] - broken)
        available = sum(_available(item) for item in (current, *old))
        spare = available - (desired - math.floor(desired * _SURGE))
        for item in old:
            take = min(spare, item["spec"]["replicas"])
            if take > 0:
                self._resize(deployment, item, item["spec"]["replicas"] - take)
                spare -= take

    def _resize(self, deployment: Object, replica_set: Object, replicas: int) -> None:
        before, desired = replica_set["spec"]["replicas"], deployment["spec"]["replicas"]
        wanted = {_DESIRED: str(desired), _MAX: str(desired + _surge(desired))}
        annotations = replica_set["metadata"]["annotations"]
        if before == replicas and all(annotations.get(key) == value for key, value in wanted.items()):
            return
        replica_set["spec"]["replicas"] = replicas
        annotations |= wanted
        replica_set.update(self._cluster.store.update("replicasets", replica_set, manager=_MANAGER))
        name = replica_set["metadata"]["name"]
        self._replica_sets.enqueue(replica_set["metadata"]["namespace"], name)
        if before != replicas:
            verb = "up" if replicas > before else "down"
            message = f"Scaled {verb} replica set {name} from {before} to {replicas}"
            self._recorder.post(
                "deployment-controller",
                deployment,
                "ScalingReplicaSet",
                message,
                kind="Deployment",
                api_version="apps/v1",
            )

    def _write_status(self, deployment: Object, current: Object, old: list[Object]) -> None:
        status = status_of(deployment, current, old)
        desired, name = deployment["spec"]["replicas"], current["metadata"]["name"]
        if status.get("availableReplicas", 0) >= desired - math.floor(desired * _SURGE):
            found = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        else:
            found = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        self._set_condition(status, "Available", *found)
        progressing = next((item for item in status["conditions"] if item["type"] == "Progressing"), None)
        is_settled = progressing is not None and progressing["reason"] == "NewReplicaSetAvailable"
        if is_complete(status, desired):
            message = f'ReplicaSet "{name}" has successfully progressed.'
            self._set_condition(status, "Progressing", "True", "NewReplicaSetAvailable", message)
        elif not is_settled and status.get("updatedReplicas"):
            message = f'ReplicaSet "{name}" is progressing.'
            self._set_condition(status, "Progressing", "True", "ReplicaSetUpdated", message)
        self._cluster.write_status("deployments", deployment, status, _MANAGER)

    def _set_condition(self, status: Object, kind: str, value: str, reason: str, message: str) -> None:
        now = self._cluster.stamp
        conditions = status.setdefault("conditions", [])
        old = next((item for item in conditions if item["type"] == kind), None)
        if old is not None and (old["status"], old["reason"], old["message"]) == (value, reason, message):
            return
        transition = old["lastTransitionTime"] if old is not None and old["status"] == value else now
        condition = {"type": kind, "status": value, "lastUpdateTime": now, "lastTransitionTime": transition}
        # The controller removes and appends: a condition that changed stands last.
        status["conditions"] = [item for item in conditions if item["type"] != kind]
        status["conditions"].append({**condition, "reason": reason, "message": message})

    def _forget_old(self, deployment: Object, old: list[Object]) -> None:
        idle = [item for item in old if not item["spec"]["replicas"] and not item["status"].get("replicas")]
        metadata = deployment["metadata"]
        for item in idle[: max(0, len(idle) - deployment["spec"]["revisionHistoryLimit"])]:
            if self._cluster.registry.of_owner(item["metadata"]["uid"]):
                continue
            self._cluster.store.delete("replicasets", metadata["namespace"], item["metadata"]["name"])
            self._owned[metadata["namespace"], metadata["name"]].pop(item["metadata"]["name"], None)


def status_of(deployment: Object, current: Object, old: list[Object]) -> Object:
    """Return the counts of a Deployment's status, in the real order, with the conditions it has."""
    sets = (current, *old)
    desired = deployment["spec"]["replicas"]
    counts = {
        "replicas": sum(item["status"].get("replicas", 0) for item in sets),
        "updatedReplicas": current["status"].get("replicas", 0),
        "readyReplicas": sum(item["status"].get("readyReplicas", 0) for item in sets),
        "availableReplicas": sum(_available(item) for item in sets),
    }
    wanted = max(desired, sum(item["spec"]["replicas"] for item in sets))
    counts["unavailableReplicas"] = max(0, wanted - counts["availableReplicas"])
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    status |= {key: value for key, value in counts.items() if value}
    status["terminatingReplicas"] = sum(item["status"].get("terminatingReplicas", 0) for item in sets)
    status["conditions"] = list(deployment.get("status", {}).get("conditions", ()))
    return status


def is_complete(status: Object, desired: int) -> bool:
    """Tell whether a rollout is over: every replica is new and available, and none is left of the old."""
    counts = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    return all(count == desired for count in counts)


def revision_of(obj: Object) -> int:
    """Return the revision that the Deployment controller noted on a ReplicaSet or Deployment; 0 without."""
    return int(obj["metadata"].get("annotations", {}).get(_REVISION, "0"))


def _available(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _surge(desired: int) -> int:
    return math.ceil(desired * _SURGE)
