"""metrics.k8s.io is read for what it is."""

import json

import pytest

from agent.errors import Undecodable
from agent.usage.metricsapi import read_nodes, read_pods
from simulator.kubelets.documents import node_metrics, pod_metrics
from tests.agent.usage.conftest import NOW, a_pod


def test_rates_and_working_sets_are_read(summary):
    pods, _ = read_pods(json.dumps(pod_metrics([a_pod()], now=NOW)).encode())
    nodes, undecodable = read_nodes(json.dumps(node_metrics([summary], now=NOW)).encode())

    compute = pods[0].containers[0].compute
    assert (pods[0].namespace, pods[0].name, pods[0].uid) == ("shop", "web-1", "")
    assert compute.cpu_nanoseconds is None
    assert compute.cpu_nanocores > 0
    assert compute.memory_bytes > 2**20
    assert nodes[0].name == "n1"
    assert undecodable == 0


def test_an_item_that_is_not_what_it_should_be_costs_itself_alone():
    items = [
        {},
        {"metadata": {"name": "a"}},
        {"metadata": {"name": "a", "namespace": "b"}, "containers": [{"name": 7}]},
    ]
    good = {"metadata": {"name": "web", "namespace": "shop"}, "containers": [{"name": "app", "usage": {"cpu": "lots"}}]}

    pods, undecodable = read_pods(json.dumps({"items": [*items, good]}).encode())

    assert [pod.name for pod in pods] == ["web"]
    assert pods[0].containers[0].compute.cpu_nanocores is None
    assert undecodable == 3


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"items":7}', b"\xff"])
def test_what_is_no_list_says_so(body):
    with pytest.raises(Undecodable):
        read_pods(body)
