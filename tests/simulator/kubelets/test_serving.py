"""What the pretend kubelets and the metrics server say."""

import pytest

from simulator.kubelets.consumption import demand_of, volume_used
from simulator.kubelets.nonsense import NONSENSE

KUBELET = "/simulator/kubelets/n1/stats/summary"


@pytest.fixture
async def peopled(cluster, pod):
    """A node with one pod whose container runs."""
    await cluster.control.node("n1")
    await cluster.control.create("pods", pod("web-1"))
    bound = await cluster.control.bind("shop", "web-1", "n1")
    bound["status"] = {
        "phase": "Running",
        "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}],
    }
    await cluster.control.update("pods", bound, subresource="status")
    return cluster


async def test_the_kubelet_and_the_proxy_say_the_same_of_the_pods_of_the_node(peopled):
    own, proxied = await peopled.json(KUBELET), await peopled.json("/api/v1/nodes/n1/proxy/stats/summary")

    assert [pod["podRef"]["name"] for pod in own["pods"]] == ["web-1"]
    assert proxied["pods"][0]["podRef"] == own["pods"][0]["podRef"]
    assert own["pods"][0]["containers"][0]["startTime"] == "2026-01-02T03:04:05Z"


async def test_a_kubelet_knows_a_static_pod_by_the_hash_of_its_file(peopled, pod):
    mirror = pod("etcd-n1")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.hash": "0123abcd"}
    await peopled.control.create("pods", mirror)
    await peopled.control.bind("shop", "etcd-n1", "n1")

    told = {it["podRef"]["name"]: it["podRef"]["uid"] for it in (await peopled.json(KUBELET))["pods"]}

    assert told["etcd-n1"] == "0123abcd"


async def test_the_metrics_server_says_the_rates_of_the_kubelets(peopled):
    pods = await peopled.json("/apis/metrics.k8s.io/v1beta1/pods")
    nodes = await peopled.json("/apis/metrics.k8s.io/v1beta1/nodes")

    assert pods["items"][0]["containers"][0]["usage"]["cpu"].endswith("n")
    assert [node["metadata"]["name"] for node in nodes["items"]] == ["n1"]


@pytest.mark.parametrize("how", NONSENSE)
async def test_a_kubelet_talks_nonsense_until_it_is_mended(peopled, how):
    sane = await peopled.json(KUBELET)
    await peopled.control.spoil_usage(how, "n1")

    _, spoiled = await peopled.get(KUBELET)
    await peopled.control.mend()

    assert spoiled
    assert (await peopled.json(KUBELET))["pods"][0].keys() == sane["pods"][0].keys()


async def test_who_has_no_token_is_told_nothing(peopled):
    status, _ = await peopled.get(KUBELET, Authorization="Bearer wrong")

    assert status == 401


def test_a_counter_grows_by_what_its_rate_says():
    demand = demand_of("a", {"resources": {"requests": {"cpu": "2"}}})

    rates = [demand.rate(second + 0.5) for second in range(100, 160)]

    assert demand.total(160) - demand.total(100) == pytest.approx(sum(rates), rel=1e-3)


def test_a_container_without_room_leaks_up_to_its_limit_and_one_with_a_cpu_limit_stays_at_it():
    leaking = demand_of("a", {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}})
    throttled = demand_of("a", {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "100m"}}})

    assert leaking.working_set(0) < leaking.working_set(3) < leaking.working_set(6) <= 64 * 2**20
    assert {throttled.rate(second) for second in range(300)} == {0.1}


def test_a_volume_fills_and_ends_full():
    assert volume_used("a", 100, 0) < volume_used("a", 100, 36_000) == 100
