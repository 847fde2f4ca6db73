"""Who decides which story comes next, on which target, and sees each to its end."""

from collections.abc import Iterator

import structlog

from simulator.fargate import is_fargate
from simulator.world.edits import Stage, Target, limit_of, tag_of
from simulator.world.fates import POOL_SIZE_KEY
from simulator.world.manifests import POOL_SIZE
from simulator.world.stories import STORIES, Steps, mend

_LOG = structlog.get_logger()
# Larger Deployments would turn one rollout into minutes of writes.
_LARGEST_TARGET = 40
_NODE_STORIES = frozenset({"node_lost", "node_returns"})
_NAMESPACES = frozenset({"shop", "payments", "data"})


class Director:
    """Draws stories from a shuffled deck, so that each comes up, and never two on one target."""

    def __init__(self, stage: Stage, *, pause_seconds: tuple[float, float]) -> None:
        self._pause_seconds = pause_seconds
        self._stage = stage
        self._targets: list[Target] = []
        self._configured: list[Target] = []
        self._autoscaled: list[Target] = []
        self._busy: dict[Target, str] = {}
        self._deck: list[str] = []

    @property
    def playing(self) -> dict[Target, str]:
        """Which story runs on which target."""
        return dict(self._busy)

    def adopt(self) -> None:
        """Learn what there is to tell of, and mend what an earlier run left broken."""
        cluster = self._stage.cluster
        self._busy.clear()
        self._targets = _keys(cluster.list_whole("deployments"))
        configured = {
            (obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in cluster.list_whole("configmaps")
        }
        self._configured = [item for item in self._targets if (item.namespace, f"{item.name}-config") in configured]
        self._autoscaled = _keys(cluster.list_whole("horizontalpodautoscalers"))
        for target in self._targets:
            if self._is_broken(target):
                self._start("mend", target, mend(self._stage, target))

    def run_on(self) -> None:
        """Begin one story after the other, for ever."""
        self._stage.cluster.after(self._stage.cluster.between(*self._pause_seconds), self._go_on, "director")

    def play(self, name: str) -> Target | None:
        """Begin the story called *name* now; return its target, None when none is free. KeyError: no such story."""
        story = STORIES[name]
        free = [target for target in self._candidates(name) if target not in self._busy]
        if not free:
            return None
        target = self._stage.cluster.rng.choice(free)
        _LOG.debug("simulator.story_began", story=name, namespace=target.namespace, name=target.name)
        self._start(name, target, story(self._stage, target))
        return target

    def _go_on(self) -> None:
        if not self._deck:
            self._deck = list(STORIES)
            self._stage.cluster.rng.shuffle(self._deck)
        # Half of the applications stay well, so that the cluster looks like one that somebody cares for.
        if len(self._busy) <= len(self._targets) // 2:
            self.play(self._deck.pop())
        self.run_on()

    def _candidates(self, name: str) -> list[Target]:
        registry = self._stage.cluster.registry
        if name in _NODE_STORIES:
            is_one_away = any(story in _NODE_STORIES for story in self._busy.values())
            if is_one_away or len(registry.nodes) < 2:
                return []
            # A node of Fargate goes with its pod, not by itself.
            instances = [node for node in registry.nodes.values() if not is_fargate(node.labels)]
            return [Target(namespace="", name=node.name) for node in instances if node.is_alive]
        pool = {"config_break": self._configured, "scaling": self._autoscaled}.get(name, self._targets)
        return [
            target
            for target in pool
            if target.namespace in _NAMESPACES
            and 1 <= len(registry.of_app(target.namespace, target.name)) <= _LARGEST_TARGET
        ]

    def _start(self, name: str, target: Target, steps: Steps) -> None:
        self._busy[target] = name
        self._step(target, steps)

    def _step(self, target: Target, steps: Iterator[float]) -> None:
        pause = next(steps, None)
        if pause is None:
            self._busy.pop(target, None)
            return
        self._stage.cluster.after(pause, lambda: self._step(target, steps))

    def _is_broken(self, target: Target) -> bool:
        tag, cluster = tag_of(self._stage, target), self._stage.cluster
        deployment = cluster.get("deployments", target.namespace, target.name)
        if deployment is None or target.namespace not in _NAMESPACES:
            return False
        spec = deployment["spec"]["template"]["spec"]
        requests = spec["containers"][0]["resources"].get("requests", {})
        config = cluster.get("configmaps", target.namespace, f"{target.name}-config")
        autoscaler = cluster.get("horizontalpodautoscalers", target.namespace, target.name)
        return (
            "-rc" in tag
            or "O" in tag
            or "nodeSelector" in spec
            or limit_of(self._stage, target) == requests.get("memory")
            or (config is not None and config["data"].get(POOL_SIZE_KEY) != POOL_SIZE)
            or (autoscaler is not None and autoscaler["spec"]["minReplicas"] != deployment["spec"]["replicas"])
        )


def _keys(objects: object) -> list[Target]:
    return [
        Target(namespace=obj["metadata"]["namespace"], name=obj["metadata"]["name"])
        for obj in objects  # type: ignore[attr-defined]
    ]
