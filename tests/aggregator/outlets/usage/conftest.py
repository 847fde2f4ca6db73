"""Usage as an agent tells it, and a collector over it with a clock of the test's own."""

from dataclasses import dataclass

import pytest

from aggregator.census.pods import PodState
from aggregator.census.roll import Roll
from aggregator.outlets.usage.families import UsageCollector
from aggregator.outlets.usage.latest import Latest
from aggregator.outlets.usage.whose import Register
from aggregator.records import ObjectKey
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import Compute, ContainerUsage, Network, NodeUsage, PodUsage, Space, VolumeUsage

SECOND = 10**9
START = 1_767_323_045 * SECOND


def compute(cpu_seconds, *, started=START - 10_000 * SECOND, at=0, **more):
    return Compute(at=at, started_at=started, cpu_nanoseconds=int(cpu_seconds * SECOND), cpu_nanocores=10**8, **more)


def a_pod(cpu_seconds=5.0, *, name="web-1", uid="u1", claim="data", received=1_000, started=START - 10_000 * SECOND):
    return PodUsage(
        namespace="shop",
        name=name,
        uid=uid,
        containers=(ContainerUsage(name="app", compute=compute(cpu_seconds, started=started, memory_bytes=2**20)),),
        volumes=(VolumeUsage(name="d", claim=claim, space=Space(capacity_bytes=100, used_bytes=40)),),
        network=Network(received_bytes=received, sent_bytes=1),
    )


def a_state(name="web-1", *, node="n1", kind="Deployment", resources=()):
    return PodState(
        namespace="shop",
        name=name,
        node=node,
        workload_kind=kind,
        workload="web",
        phase="Running",
        is_unschedulable=False,
        names=("app",),
        resources=tuple(resources),
        instances=(),
    )


@dataclass
class Desk:
    """The last values and their collector."""

    roll: Roll
    latest: Latest
    collector: UsageCollector
    now: int = START

    def tell(self, *pods, nodes=(), node="n1", source="kubelet"):
        self.latest.take(Usage(source=source, node=node, nodes=tuple(nodes), pods=tuple(pods)), self.now)

    def live(self, uid="u1", state=None):
        """Let the journal know of a pod (or, with False, that it is gone), and of all that live."""
        self.roll.take({ObjectKey("Pod", uid): None if state is False else state or a_state()})
        self.roll.complete()

    def tell_node(self, node="n1", **options):
        self.tell(nodes=[NodeUsage(name=node, compute=compute(7.0, **options))], node=node)

    def samples(self, name):
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.collector.collect()
            for sample in family.samples
            if sample.name == f"kubescribe_{name}"
        }

    def cpu(self):
        return self.samples("container_cpu_usage_seconds_total").get(("shop", "web-1", "app", "n1"))


@pytest.fixture
def desk_of():
    def make(**options):
        roll = Roll()
        latest = Latest(Register(roll))
        made = Desk(roll, latest, None)
        made.collector = UsageCollector(latest, now_ns=lambda: made.now, **options)
        return made

    return make


@pytest.fixture
def desk(desk_of):
    return desk_of()
