"""
What happens in the cluster: each story is a generator that does a thing, yields seconds, and ends with all well.

A story changes what people and tools change (a Deployment, a ConfigMap, a node) and leaves the consequences to
the controllers. Each takes a target that no other story has, and gives it back at its end.
"""

from collections.abc import Callable, Generator, Mapping

from simulator.world.cluster import Object
from simulator.world.edits import (
    EDIT,
    ROLLOUT,
    Stage,
    Target,
    edit_container,
    edit_deployment,
    is_settled,
    limit_of,
    next_patch,
    release_manager,
    set_config,
    set_tag,
    tag_of,
)
from simulator.world.fates import MISSING_INPUT
from simulator.world.manifests import POOL_SIZE, cron_job_of

Steps = Generator[float, None, None]
_PATIENCE_SECONDS = 240

Story = Callable[[Stage, Target], Steps]


def rollout(stage: Stage, target: Target) -> Steps:
    """Release a new version that works."""
    set_tag(stage, target, next_patch, manager=release_manager(stage, target))
    yield from _until_settled(stage, target)


def bad_rollout(stage: Stage, target: Target) -> Steps:
    """Release a candidate that crashes at its start (exit code 1); the rollout stalls and is undone."""
    before = tag_of(stage, target)
    set_tag(stage, target, lambda tag: f"{next_patch(tag)}-rc.1", manager=release_manager(stage, target))
    yield stage.cluster.between(60, 90)
    set_tag(stage, target, lambda _: before, manager=ROLLOUT)
    yield from _until_settled(stage, target)


def unpullable_image(stage: Stage, target: Target) -> Steps:
    """Somebody types a letter for a digit: the image is not there, until the next edit."""
    before = tag_of(stage, target)
    set_tag(stage, target, lambda tag: f"{tag.rpartition('.')[0]}.O", manager=EDIT)
    yield stage.cluster.between(35, 60)
    set_tag(stage, target, lambda _: before, manager=EDIT)
    yield from _until_settled(stage, target)


def memory_limit(stage: Stage, target: Target) -> Steps:
    """Cut the limit to the request: each new pod is killed for its memory, until the limit is back."""
    before = limit_of(stage, target)

    def cut(container: Object) -> None:
        container["resources"]["limits"]["memory"] = container["resources"]["requests"]["memory"]

    def mend(container: Object) -> None:
        container["resources"]["limits"]["memory"] = before

    edit_container(stage, target, cut, manager=EDIT)
    yield stage.cluster.between(45, 75)
    edit_container(stage, target, mend, manager=release_manager(stage, target))
    yield from _until_settled(stage, target)


def oom_kill(stage: Stage, target: Target) -> Steps:
    """One pod leaks and is killed for its memory (exit code 137); it restarts and is well again."""
    pods = [pod for pod in stage.cluster.registry.of_app(target.namespace, target.name) if pod.is_ready]
    if not pods:
        return
    pod = stage.cluster.rng.choice(pods)
    stage.restarts.kill(pod, exit_code=137, reason="OOMKilled")
    yield stage.cluster.between(15, 25)
    if stage.cluster.rng.random() < 0.5:
        stage.restarts.kill(pod, exit_code=137, reason="OOMKilled")
    yield 20


def crash_loop(stage: Stage, target: Target) -> Steps:
    """One pod crashes again and again (exit code 1), then somebody deletes it and its successor is well."""
    pods = [pod for pod in stage.cluster.registry.of_app(target.namespace, target.name) if pod.is_ready]
    if not pods:
        return
    pod = stage.cluster.rng.choice(pods)
    for _ in range(stage.cluster.rng.randint(40, 60)):
        stage.restarts.kill(pod)
        yield 2
    if stage.cluster.registry.pods.get(pod.key) is pod:
        stage.pods.delete(pod)
    yield 30


def unschedulable(stage: Stage, target: Target) -> Steps:
    """Ask for a kind of node that there is none of; the new pods wait, until it is no longer asked for."""

    def ask(deployment: Object) -> None:
        spec = deployment["spec"]["template"]["spec"]
        spec["nodeSelector"] = {"node.kubernetes.io/instance-type": "p5.48xlarge"}

    def mend(deployment: Object) -> None:
        deployment["spec"]["template"]["spec"].pop("nodeSelector", None)

    edit_deployment(stage, target, ask, manager=EDIT)
    yield stage.cluster.between(40, 60)
    edit_deployment(stage, target, mend, manager=EDIT)
    yield from _until_settled(stage, target)


def config_break(stage: Stage, target: Target) -> Steps:
    """Edit a ConfigMap so that the application crashes on it; then edit it back and replace the pods."""
    set_config(stage, target, "0")
    yield stage.cluster.between(60, 80)
    set_config(stage, target, POOL_SIZE)
    yield stage.cluster.between(4, 8)

    def restart(deployment: Object) -> None:
        annotations = deployment["spec"]["template"]["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = stage.cluster.stamp

    edit_deployment(stage, target, restart, manager=ROLLOUT)
    yield from _until_settled(stage, target)


def scaling(stage: Stage, target: Target) -> Steps:
    """Load comes, the autoscaler adds replicas; load goes, it takes them away."""
    autoscaler = stage.cluster.get("horizontalpodautoscalers", target.namespace, target.name)
    if autoscaler is None:
        return
    least, most = autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]
    size = min(most, least + stage.cluster.rng.randint(2, 4))
    stage.autoscalers.observe(target.namespace, target.name, utilization=131, replicas=size)
    yield stage.cluster.between(40, 60)
    stage.autoscalers.observe(target.namespace, target.name, utilization=38, replicas=least)
    yield from _until_settled(stage, target)


def flaky_probe(stage: Stage, target: Target) -> Steps:
    """Let the readiness probes of a pod or two fail for a while."""
    pods = [pod for pod in stage.cluster.registry.of_app(target.namespace, target.name) if pod.is_ready]
    for pod in pods[: stage.cluster.rng.randint(1, 2)]:
        stage.restarts.fail_probe(pod)
    yield 25


def failing_job(stage: Stage, target: Target) -> Steps:
    """Somebody starts a Job by hand whose input is missing: it fails and reaches its backoff limit."""
    env: list[Object] = [{"name": "INPUT", "value": MISSING_INPUT}]
    template = cron_job_of("backfill", 1, env)["spec"]["jobTemplate"]["spec"]["template"]
    name = f"backfill-{target.name}"
    if not stage.cluster.exists("jobs", "batch", name):
        stage.jobs.begin("batch", name, None, template, 2)
    yield 90


def node_lost(stage: Stage, target: Target) -> Steps:
    """Lose a node: it is tainted and evicted, deleted by the cloud, and replaced."""
    stage.node_life.lose(target.name, is_replaced=True)
    yield 180


def node_returns(stage: Stage, target: Target) -> Steps:
    """Lose a node for two minutes: it is tainted and evicted, and comes back."""
    stage.node_life.lose(target.name, is_replaced=False)
    yield 150


STORIES: Mapping[str, Story] = {
    story.__name__: story
    for story in (
        rollout,
        bad_rollout,
        unpullable_image,
        memory_limit,
        oom_kill,
        crash_loop,
        unschedulable,
        config_break,
        scaling,
        flaky_probe,
        failing_job,
        node_lost,
        node_returns,
    )
}
"""By name, in the order in which a reader meets them."""


def mend(stage: Stage, target: Target) -> Steps:
    """Undo what a story left unfinished when the pretend cluster was stopped, as an operator would."""
    tag, limit = tag_of(stage, target), limit_of(stage, target)
    healthy = tag.partition("-rc")[0].replace("O", "0")
    if tag != healthy:
        set_tag(stage, target, lambda _: healthy, manager=ROLLOUT)

    def repair(deployment: Object) -> None:
        spec = deployment["spec"]["template"]["spec"]
        spec.pop("nodeSelector", None)
        resources = spec["containers"][0]["resources"]
        if limit and limit == resources["requests"]["memory"]:
            resources["limits"]["memory"] = f"{2 * int(limit.removesuffix('Mi'))}Mi"

    edit_deployment(stage, target, repair, manager=EDIT)
    set_config(stage, target, POOL_SIZE)
    autoscaler = stage.cluster.get("horizontalpodautoscalers", target.namespace, target.name)
    if autoscaler is not None:
        least = autoscaler["spec"]["minReplicas"]
        stage.autoscalers.observe(target.namespace, target.name, utilization=52, replicas=least)
    yield from _until_settled(stage, target)


def _until_settled(stage: Stage, target: Target) -> Steps:
    """Wait for the rollout, but not for ever: the cluster may be too small or broken for it."""
    for _ in range(_PATIENCE_SECONDS // 2):
        yield 2
        if is_settled(stage, target):
            return
