"""Text that is kept says what text made anew would say, whatever happened between two scrapes."""

import gzip
from collections.abc import Callable, Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_text
from prometheus_client.parser import text_string_to_metric_families as text
from prometheus_client.registry import Collector

from aggregator.census.pods import PodState, Resource
from aggregator.census.roll import Roll
from aggregator.outlets.asking import Asking
from aggregator.outlets.standing import Standing
from aggregator.outlets.usage.families import UsageCollector
from aggregator.outlets.usage.latest import Latest
from aggregator.outlets.usage.whose import Register
from aggregator.records import ObjectKey
from kubescribe.runtime.exposition import TableFamily, exposition, exposition_parts, inflated
from kubescribe.runtime.packing import Fragment, gzip_of, packed, unpacked
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import Compute, ContainerUsage, Network, PodUsage, Space, VolumeUsage

Parser = Callable[[str], Iterable[Metric]]

SECOND = 10**9
START = 1_767_323_045 * SECOND

ASKED = (
    (),
    (Resource("app", "cpu", "core", 0.1, None), Resource("app", "memory", "byte", 128.0, 256.0)),
    (Resource("app", "cpu", "core", 0.0, None),),
    (Resource("app", "cpu", "core", -0.0, None),),  # equal to the one before, and another text
    (Resource("first", "memory", "byte", 1.0, 2.0, is_passing=True), Resource('a"b\\', "cpu", "core", 1e18, 2.5)),
)


def a_pod(name, node="n1", phase="Running", resources=ASKED[1], kind="Deployment") -> PodState:
    return PodState(
        namespace="shop",
        name=name,
        node=node,
        workload_kind=kind,
        workload="orders",
        phase=phase,
        is_unschedulable=phase == "Pending",
        names=("app",),
        resources=resources,
        instances=(),
    )


NAMES = ("p0", "p1", "p2", "p0", "p1", "p-n1")
STATIC = 5
"""Whose mirror in the API has another uid than its files."""


class Only(Collector):
    """These families; *is_plain*: without whatever its owner wrote down himself."""

    def __init__(self, families: Iterable[Metric], *, is_plain: bool) -> None:
        self.families, self.is_plain = families, is_plain

    def collect(self) -> Iterator[Metric]:
        for family in self.families:
            if isinstance(family, TableFamily) and self.is_plain:
                family.lines = None
            yield family


class Scene:
    """A roll, usage, a clock, and two scrapers: of one everything is kept, of the other nothing."""

    def __init__(self) -> None:
        self.roll, self.kept, self.now, self.limit = Roll(), Asking(group_pods=1), START, 1_000
        self.roll.complete()
        self.latest = Latest(Register(self.roll))
        self.usage = self.collector()

    def collector(self) -> UsageCollector:
        return UsageCollector(self.latest, now_ns=lambda: self.now, limits=lambda _: self.limit)

    def registry(self, *, is_kept: bool) -> CollectorRegistry:
        registry = CollectorRegistry()
        standing = Standing(self.roll, asking=self.kept if is_kept else None, limits=lambda _: self.limit)
        usage = self.usage if is_kept else self.collector()
        for families in (standing.families(), usage.collect()):
            registry.register(Only(families, is_plain=not is_kept))
        return registry

    def scrapes_are_the_same(self) -> None:
        for encoder, parse, is_openmetrics in ((generate_latest, text, False), (openmetrics, open_text, True)):
            plain = exposition(self.registry(is_kept=False), encoder, is_openmetrics=is_openmetrics)
            kept = list(exposition_parts(self.registry(is_kept=True), encoder, is_openmetrics=is_openmetrics))
            stream = gzip_of(part if isinstance(part, Fragment) else packed(part) for part in kept)
            assert gzip.decompress(stream) == b"".join(inflated(kept))
            assert told(inflated(kept), parse) == told(plain, parse)

    def put(self, uid: int, node: str, phase: str, resources: tuple[Resource, ...]) -> None:
        """The first and the fourth have one name: a pod that was made anew before its predecessor's end."""
        kind = "Pod" if uid == STATIC else "Deployment"
        self.roll.take({ObjectKey("Pod", f"u{uid}"): a_pod(NAMES[uid], node, phase, resources, kind)})

    def end(self, uid: int) -> None:
        self.roll.take({ObjectKey("Pod", f"u{uid}"): None})

    def tell(self, uids: list[int], node: str, value: int | None) -> None:
        pods = tuple(
            PodUsage(
                namespace="shop",
                name=NAMES[uid],
                uid=f"u{uid}" if uid != STATIC else "of-the-file",
                containers=(
                    ContainerUsage(name="app", compute=Compute(at=self.now, cpu_nanoseconds=value, memory_bytes=7)),
                ),
                volumes=(VolumeUsage(name="d", claim=f"c{uid % 2}", space=Space(used_bytes=value)),),
                network=Network(at=self.now, received_bytes=value),
            )
            for uid in uids
        )
        self.latest.take(Usage(source="kubelet", node=node, pods=pods), self.now)
        self.usage.told(node)

    def forget(self) -> None:
        self.latest.expire(self.now)

    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    def bound(self, limit: int) -> None:
        self.limit = limit


def told(parts: Iterable[bytes], parse: Parser) -> list[tuple[object, ...]]:
    """Return what is told: the families in their order, their samples in whatever order they came."""
    return [
        (
            it.name,
            it.type,
            it.documentation,
            sorted((*sorted(s.labels.items()), repr(float(s.value))) for s in it.samples),
        )
        for it in parse(b"".join(parts).decode())
    ]


UIDS, NODES = st.integers(0, 5), st.sampled_from(["n1", "n2", ""])
PHASES = st.sampled_from(["Running", "Running", "Pending", "Succeeded", "Failed"])
VALUES = st.none() | st.integers(0, 10**15)
STEPS = (
    st.tuples(st.just("put"), UIDS, NODES, PHASES, st.sampled_from(ASKED))
    | st.tuples(st.just("put"), UIDS, NODES, PHASES, st.sampled_from(ASKED))
    | st.tuples(st.just("end"), UIDS)
    | st.tuples(st.just("tell"), st.lists(UIDS, max_size=4), st.sampled_from(["n1", "n2"]), VALUES)
    | st.tuples(st.just("tell"), st.lists(UIDS, max_size=4), st.sampled_from(["n1", "n2"]), VALUES)
    | st.tuples(st.just("forget"))
    | st.tuples(st.just("wait"), st.sampled_from([1, 15, 59, 60, 61, 901]))
    | st.tuples(st.just("bound"), st.sampled_from([1, 3, 1_000]))
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(STEPS, min_size=1, max_size=3), max_size=10))
def test_every_scrape_says_what_one_without_anything_kept_says(rounds):
    scene = Scene()
    for steps in rounds:
        for name, *arguments in steps:
            getattr(scene, name)(*arguments)
        scene.scrapes_are_the_same()


def lines_of(kept: Asking, pods) -> list[Fragment]:
    return list(kept.look(pods).lines("container_resource_requests"))


def test_a_pod_that_changes_makes_the_text_of_its_group_anew_and_no_other():
    kept, pods = Asking(group_pods=8), [a_pod(f"p{number}") for number in range(100)]
    before = lines_of(kept, pods)
    pods[7] = a_pod("p7", node="n2")
    after = lines_of(kept, pods)

    others = [one for one, other in zip(before, after, strict=True) if one is other]
    assert len(others) == len(before) - 1 > 1
    assert sum(unpacked(it).count(b'pod="p7",node="n2"') for it in after) == 2
    assert sum(unpacked(it).count(b"\n") for it in after) == 200


def test_a_pod_that_only_starts_again_leaves_the_text_as_it_is():
    kept, pods = Asking(), [a_pod(f"p{number}") for number in range(10)]
    before = lines_of(kept, pods)
    again = [a_pod(pod.name, phase="Pending") for pod in pods]

    assert all(one is other for one, other in zip(before, lines_of(kept, again), strict=True))


def test_a_scrape_that_began_earlier_ends_with_what_it_saw():
    kept, pods = Asking(), [a_pod("a"), a_pod("b")]
    first = kept.look(pods)
    second = kept.look(pods[:1])

    assert unpacked(next(second.lines("container_resource_limits"))).count(b"\n") == 1
    assert unpacked(next(first.lines("container_resource_limits"))).count(b"\n") == 2
