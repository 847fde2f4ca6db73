"""A laboratory: a cluster in memory whose clock is moved by hand, second by second."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.etcd import Etcd
from simulator.history import History
from simulator.resources import ResourceTable
from simulator.versions import Object
from simulator.world.app import World

START = 1_795_000_000.0


class Laboratory:
    """One store, one world, one clock."""

    def __init__(
        self, *, nodes: int = 4, pods: int = 40, seed: int = 7, pace: float = 1.0, file: Path | None = None, **more
    ):
        self.now = START
        self.file = file
        self.size = {"nodes": nodes, "pods": pods, "seed": seed, "pace": pace, **more}
        self.open()

    def open(self) -> None:
        """Open the store (again) and make a world on it."""
        self.etcd = Etcd(
            ResourceTable(),
            History(self.file),
            clock=lambda: datetime.fromtimestamp(self.now, UTC),
            identity=str(self.size["seed"]),
        )
        self.etcd.open()
        self.world = World(self.etcd, clock=lambda: self.now, **self.size)

    def advance(self, seconds: float, *, tick: float = 1.0) -> None:
        """Let time pass in ticks."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + tick)
            self.world.step(self.now)

    def advance_until(self, claim: Callable[[], object], *, seconds: float = 400.0) -> None:
        """Let time pass until *claim* holds; fail if it never does."""
        for _ in range(int(seconds)):
            if claim():
                return
            self.advance(1.0)
        pytest.fail("it did not come to pass")

    def pods(self, target: object) -> list[Object]:
        """Return the pods of a target, in order of name."""
        return [
            pod
            for pod in self.etcd.list("pods", target.namespace)
            if pod["metadata"]["labels"].get("app.kubernetes.io/name") == target.name
        ]

    def events(self, *, reason: str) -> list[Object]:
        """Return the Events of a reason."""
        return [event for event in self.etcd.list("events") if event["reason"] == reason]

    def deployment(self, target: object) -> Object:
        """Return the Deployment of a target."""
        found = self.etcd.get("deployments", target.namespace, target.name)
        assert found is not None
        return found

    def play(self, story: str) -> object:
        """Begin a story; return its target."""
        target = self.world.play(story)
        assert target is not None
        return target

    def is_well(self) -> bool:
        """Tell whether no story runs, every rollout is over and every pod is ready or has completed."""
        return (
            not self.world.director.playing
            and all(
                deployment["status"].get("availableReplicas") == deployment["spec"]["replicas"]
                and deployment["status"].get("updatedReplicas") == deployment["spec"]["replicas"]
                for deployment in self.etcd.list("deployments")
            )
            and all(
                condition["status"] == "True"
                for pod in self.etcd.list("pods")
                if not any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", ()))
                for condition in pod["status"].get("conditions", ())
                if condition["type"] == "Ready"
            )
            and all("deletionTimestamp" not in pod["metadata"] for pod in self.etcd.list("pods"))
        )


@pytest.fixture
def laboratory(make_laboratory) -> Laboratory:
    found = make_laboratory()
    found.world.populate(scenario=False)
    return found


@pytest.fixture
def make_laboratory() -> Iterator[Callable[..., Laboratory]]:
    made = []

    def make(**options) -> Laboratory:
        made.append(Laboratory(**options))
        return made[-1]

    yield make
    for laboratory in made:
        laboratory.etcd.close()
