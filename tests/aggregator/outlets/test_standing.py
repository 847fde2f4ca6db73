"""How the cluster is now: from the roll, bounded, and never a half of it."""

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from aggregator.census.controllers import ControllerState
from aggregator.census.families import GAUGES
from aggregator.census.nodes import NodeState
from aggregator.census.pods import PodState, Resource
from aggregator.census.roll import Roll
from aggregator.outlets.standing import Standing
from aggregator.records import ObjectKey
from kubescribe.runtime.exposition import TableFamily, table_text

RESOURCES = (Resource("app", "cpu", "core", 0.1, None), Resource("app", "memory", "byte", 128.0, 256.0))


def a_pod(name="p", *, namespace="shop", phase="Running", is_unschedulable=False, resources=RESOURCES):
    return PodState(
        namespace=namespace,
        name=name,
        node="n1",
        workload_kind="Deployment",
        workload="orders",
        phase=phase,
        is_unschedulable=is_unschedulable,
        names=("app",),
        resources=resources,
        instances=(),
    )


def a_roll(*states) -> Roll:
    roll = Roll()
    kinds = {PodState: "Pod", NodeState: "Node", ControllerState: "Deployment"}
    roll.take({ObjectKey(kinds[type(state)], str(number)): state for number, state in enumerate(states)})
    roll.complete()
    return roll


def told(roll: Roll, limits=lambda name: GAUGES[name].max_series) -> dict[str, dict[tuple[str, ...], float]]:
    families: list[Metric] = list(Standing(roll, limits=limits).families())
    return {
        family.name.removeprefix("kubescribe_"): {tuple(it.labels.values()): it.value for it in family.samples}
        for family in families
    }


def test_nothing_is_told_of_the_cluster_before_the_roll_is_complete() -> None:
    roll = Roll()
    roll.take({ObjectKey("Pod", "u"): a_pod()})

    families = told(roll)
    assert families.pop("roll_complete") == {(): 0.0}
    assert not any(families.pop("series_beyond_limit").values())
    assert families == {name: {} for name in GAUGES}


def test_pods_are_told_by_phase_with_every_phase_of_their_namespace() -> None:
    families = told(a_roll(a_pod("a"), a_pod("b"), a_pod("c", phase="Pending", is_unschedulable=True)))

    assert families["pods"] == {
        ("shop", "Pending"): 1.0,
        ("shop", "Running"): 2.0,
        ("shop", "Succeeded"): 0.0,
        ("shop", "Failed"): 0.0,
        ("shop", "Unknown"): 0.0,
    }
    assert families["unschedulable_pods"] == {("shop",): 1.0}


def test_what_containers_ask_for_is_told_of_pods_that_have_not_ended() -> None:
    families = told(a_roll(a_pod("a"), a_pod("b", phase="Succeeded")))

    where = ("shop", "a", "app", "n1")
    assert families["container_resource_requests"] == {(*where, "cpu", "core"): 0.1, (*where, "memory", "byte"): 128.0}
    assert families["container_resource_limits"] == {(*where, "memory", "byte"): 256.0}


def test_a_sum_over_containers_has_no_init_container_which_is_over_before_they_begin() -> None:
    """The scheduler takes the larger of both, and what is requested of a node must not be above what it can have."""
    first = Resource("migrate", "memory", "byte", 128.0, 256.0, is_passing=True)
    roll = a_roll(a_pod("a", resources=(first, *RESOURCES)), a_pod("b", resources=(first,)))

    for limit in (1_000, 1):  # as text, and row by row
        families = told(roll, lambda _, limit=limit: limit)
        assert {values[2] for values in families["container_resource_limits"]} == {"app"}
        assert sum(families["container_resource_limits"].values()) == 256.0
    text = b"".join(
        part
        for family in Standing(roll).families()
        if isinstance(family, TableFamily)
        for part in table_text(family, is_openmetrics=False)
    )
    assert b'container="app"' in text
    assert b"migrate" not in text


def test_a_pod_that_was_made_anew_is_told_once() -> None:
    again = (Resource("app", "cpu", "core", 0.5, None),)
    families = told(a_roll(a_pod("a"), a_pod("a", resources=again)))

    assert families["container_resource_requests"] == {("shop", "a", "app", "n1", "cpu", "core"): 0.5}


def test_replicas_and_conditions_are_told() -> None:
    controller = ControllerState(
        kind="Deployment", namespace="shop", name="orders", replicas=(3, 2, 1, 0), revision="1", progress="running"
    )
    node = NodeState(name="n1", conditions=(("Ready", -1), ("DiskPressure", 0)))
    families = told(a_roll(controller, node))

    of = ("shop", "Deployment", "orders")
    assert families["workload_replicas"] == {
        (*of, "desired"): 3.0,
        (*of, "ready"): 2.0,
        (*of, "available"): 1.0,
        (*of, "updated"): 0.0,
    }
    assert families["node_condition"] == {("n1", "Ready"): -1.0, ("n1", "DiskPressure"): 0.0}
    assert families["node_info"] == {("n1", "", "", "", "", "", "machine"): 1.0}
    assert families["node_allocatable"] == {}


def test_a_node_is_told_once_with_where_it_stands_and_what_it_has() -> None:
    old = NodeState(name="n1", conditions=(), zone="a", kubelet_version="v1.35.1")
    new = NodeState(name="n1", conditions=(), cpu=3.92, memory=8e9, zone="b", instance_type="m7g.large")
    families = told(a_roll(old, new))

    assert families["node_info"] == {("n1", "b", "m7g.large", "", "", "", "machine"): 1.0}
    assert families["node_allocatable"] == {("n1", "cpu", "core"): 3.92, ("n1", "memory", "byte"): 8e9}


def test_a_family_beyond_its_limit_tells_the_rest_as_other_and_how_many_these_are() -> None:
    pods = [a_pod(f"p{number}", namespace=f"ns-{number}") for number in range(4)]
    families = told(a_roll(*pods), limits=lambda _: 5)

    assert families["pods"]["ns-0", "Running"] == 1.0
    assert families["pods"]["other", "Running"] == 3.0
    assert families["container_resource_requests"]["other", "other", "other", "other", "memory", "byte"] == 2 * 128.0
    assert families["series_beyond_limit"]["pods",] == 15
    assert families["series_beyond_limit"]["container_resource_requests",] == 3
    assert families["series_beyond_limit"]["node_condition",] == 0


def test_the_large_families_say_the_same_as_text() -> None:
    odd = (Resource('a"b', "cpu", "core", 1.0, None), Resource("x", "memory", "byte", 1e18, 2.0))
    roll = a_roll(
        a_pod("a"), a_pod("b"), a_pod("c", phase="Failed"), a_pod("d", resources=odd), a_pod("e", resources=())
    )
    large = [it for it in Standing(roll).families() if isinstance(it, TableFamily) and it.lines is not None]
    assert {it.name for it in large} == {
        "kubescribe_container_resource_requests",
        "kubescribe_container_resource_limits",
    }

    for family in large:
        text = b"".join(table_text(family, is_openmetrics=False)).decode()
        (read,) = text_string_to_metric_families(text)

        assert [(it.labels, it.value) for it in read.samples] == [(it.labels, it.value) for it in family.samples]
