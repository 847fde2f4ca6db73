"""What /metrics shows of usage: what is fresh and in order, with the names and labels that dashboards rely on."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from aggregator.outlets.usage.families import USAGE
from kubescribe.runtime.exposition import exposition
from kubescribe.wire.usage import NodeUsage, Space
from tests.aggregator.outlets.usage.conftest import SECOND, START, a_pod, compute


def test_nothing_is_shown_before_anybody_has_told_of_usage(desk):
    assert list(desk.collector.collect()) == []


def test_containers_pods_volumes_and_nodes_are_shown(desk):
    root = Space(capacity_bytes=10, available_bytes=6, used_bytes=4, inodes=9, inodes_free=8)
    desk.tell(a_pod(5.0), nodes=[NodeUsage(name="n1", compute=compute(7.0, memory_bytes=9), root=root)])

    assert desk.samples("container_cpu_usage_seconds_total") == {("shop", "web-1", "app", "n1"): 5.0}
    assert desk.samples("container_memory_working_set_bytes") == {("shop", "web-1", "app", "n1"): 2**20}
    assert desk.samples("pod_network_receive_bytes_total") == {("shop", "web-1", "n1"): 1_000}
    assert desk.samples("volume_used_bytes") == {("shop", "data"): 40}
    assert desk.samples("node_cpu_usage_seconds_total") == {("n1",): 7.0}
    assert desk.samples("node_filesystem_available_bytes") == {("n1", "root"): 6}
    assert desk.samples("node_filesystem_inodes_free") == {("n1", "root"): 8}


def test_the_families_are_written_down_in_both_formats(desk):
    desk.tell(a_pod())
    registry = CollectorRegistry()
    registry.register(desk.collector)

    line = b'kubescribe_container_cpu_usage_seconds_total{namespace="shop",pod="web-1",container="app",node="n1"} 5.0\n'
    assert line in b"".join(exposition(registry, generate_latest, is_openmetrics=False))
    openmetrics = b"".join(exposition(registry, generate_openmetrics, is_openmetrics=True))
    assert line in openmetrics
    told = {family.name for family in parsed(openmetrics.decode())}
    assert {f"kubescribe_{name.removesuffix('_total')}" for name in USAGE} <= told


def test_a_node_that_tells_nothing_any_more_shows_nothing_after_a_minute(desk):
    desk.tell(a_pod())
    desk.tell_node()

    desk.now += 60 * SECOND
    assert desk.cpu() == 5.0
    desk.now += SECOND

    assert desk.cpu() is None
    assert desk.samples("node_cpu_usage_seconds_total") == {}
    assert desk.samples("volume_used_bytes") == {}


def test_a_kubelet_that_repeats_the_same_moment_tells_nothing(desk):
    desk.tell_node(at=START)
    desk.now += 50 * SECOND
    desk.tell_node(at=START)
    desk.now += 50 * SECOND

    assert desk.samples("node_cpu_usage_seconds_total") == {}


def test_a_claim_that_several_pods_mount_is_one_volume(desk):
    desk.tell(a_pod(), a_pod(name="web-2", uid="u2"))
    desk.tell(a_pod(name="web-3", uid="u3"), node="n2")

    assert desk.samples("volume_capacity_bytes") == {("shop", "data"): 100}


def test_a_family_that_is_full_leaves_out_what_came_last_and_counts_it(desk_of):
    desk = desk_of(limits=lambda _: 2)
    desk.tell(*(a_pod(name=f"web-{n}", uid=f"u{n}", claim="") for n in range(5)))

    assert set(desk.samples("container_memory_working_set_bytes")) == {
        ("shop", "web-0", "app", "n1"),
        ("shop", "web-1", "app", "n1"),
    }
    assert desk.samples("usage_series_beyond_limit")[("container_memory_working_set_bytes",)] == 3
