"""The hands of people and of release tools: how they change a Deployment or a ConfigMap, and what they read off it."""

from collections.abc import Callable
from dataclasses import dataclass

from simulator.world.autoscaling import Autoscalers
from simulator.world.cluster import Cluster, Object
from simulator.world.deployments import Deployments, is_complete
from simulator.world.fates import POOL_SIZE_KEY
from simulator.world.jobs import Jobs
from simulator.world.nodelife import NodeLife
from simulator.world.pods import Pods
from simulator.world.restarts import Restarts

EDIT, ROLLOUT = "kubectl-edit", "kubectl-rollout"
_TOOLS = ("argocd-controller", "helm", "kubectl-client-side-apply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the stories act through."""

    cluster: Cluster
    pods: Pods
    restarts: Restarts
    deployments: Deployments
    autoscalers: Autoscalers
    jobs: Jobs
    node_life: NodeLife


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The Deployment, or the node, that a story is about."""

    namespace: str
    name: str


def edit_deployment(stage: Stage, target: Target, change: Callable[[Object], None], *, manager: str) -> None:
    """Change the target's Deployment as *manager*, and wake its controller."""
    stage.cluster.edit("deployments", target.namespace, target.name, change, manager=manager)
    stage.deployments.enqueue(target.namespace, target.name)


def edit_container(stage: Stage, target: Target, change: Callable[[Object], None], *, manager: str) -> None:
    """Change the container in the target's template."""

    def apply(deployment: Object) -> None:
        change(deployment["spec"]["template"]["spec"]["containers"][0])

    edit_deployment(stage, target, apply, manager=manager)


def set_tag(stage: Stage, target: Target, change: Callable[[str], str], *, manager: str) -> None:
    """Change the tag of the target's image."""

    def apply(container: Object) -> None:
        image, _, tag = container["image"].rpartition(":")
        container["image"] = f"{image}:{change(tag)}"

    edit_container(stage, target, apply, manager=manager)


def set_config(stage: Stage, target: Target, pool_size: str) -> None:
    """Edit the target's ConfigMap; the pods that mount it notice within seconds."""

    def apply(config: Object) -> None:
        config["data"][POOL_SIZE_KEY] = pool_size

    name = f"{target.name}-config"
    before = stage.cluster.get("configmaps", target.namespace, name)
    if before is None or before["data"].get(POOL_SIZE_KEY) == pool_size:
        return
    stage.cluster.edit("configmaps", target.namespace, name, apply, manager=EDIT)
    for pod in stage.cluster.registry.of_app(target.namespace, target.name):
        stage.restarts.notice_later(pod)


def tag_of(stage: Stage, target: Target) -> str:
    """Return the tag of the target's image; empty when it is gone."""
    container = _container(stage, target)
    return str(container["image"]).rpartition(":")[2] if container else ""


def limit_of(stage: Stage, target: Target) -> str:
    """Return the memory limit of the target; empty without."""
    container = _container(stage, target)
    return str(container["resources"].get("limits", {}).get("memory", "")) if container else ""


def release_manager(stage: Stage, target: Target) -> str:
    """Return the field manager of the tool that releases the target: the one that applied it."""
    deployment = stage.cluster.get("deployments", target.namespace, target.name) or {"metadata": {}}
    managers = {entry["manager"] for entry in deployment["metadata"].get("managedFields", ())}
    return next((tool for tool in _TOOLS if tool in managers), "kubectl-set")


def is_settled(stage: Stage, target: Target) -> bool:
    """Tell whether the target's rollout is over; a Deployment that is gone counts as settled."""
    deployment = stage.cluster.get("deployments", target.namespace, target.name)
    if deployment is None:
        return True
    is_observed = deployment["status"].get("observedGeneration") == deployment["metadata"].get("generation")
    return is_observed and is_complete(deployment["status"], deployment["spec"]["replicas"])


def next_patch(tag: str) -> str:
    """Return the version after *tag*."""
    head, _, patch = tag.partition("-")[0].rpartition(".")
    return f"{head}.{int(patch) + 1}"


def _container(stage: Stage, target: Target) -> Object | None:
    deployment = stage.cluster.get("deployments", target.namespace, target.name)
    if deployment is None:
        return None
    container: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return container
