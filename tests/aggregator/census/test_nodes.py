"""What is kept of a node."""

import json

import pytest

from aggregator.census.nodes import node_state


def a_node(**labels: str) -> bytes:
    status = {
        "conditions": [{"type": "Ready", "status": "Unknown"}],
        "allocatable": {"cpu": "3920m", "memory": "7Gi"},
        "nodeInfo": {"kubeletVersion": "v1.36.0-eks-1234"},
    }
    return json.dumps({"metadata": {"labels": labels}, "status": status}).encode()


def test_a_node_says_where_it_stands_what_it_is_and_what_it_has() -> None:
    labels = {"topology.kubernetes.io/zone": "eu-west-2a", "node.kubernetes.io/instance-type": "m7g.xlarge"}
    node = node_state(a_node(**labels), name="n1")

    assert (node.conditions, node.cpu, node.memory) == ((("Ready", -1),), 3.92, 7 * 2**30)
    assert (node.zone, node.instance_type, node.kubelet_version) == ("eu-west-2a", "m7g.xlarge", "v1.36.0-eks-1234")
    assert node.capacity_type == ""


@pytest.mark.parametrize(
    ("label", "value"), [("karpenter.sh/capacity-type", "on-demand"), ("eks.amazonaws.com/capacityType", "ON_DEMAND")]
)
def test_a_capacity_type_is_the_same_word_whoever_made_the_node(label: str, value: str) -> None:
    assert node_state(a_node(**{label: value}), name="n1").capacity_type == "on-demand"


def test_a_node_that_says_nothing_is_a_node() -> None:
    node = node_state(b"{}", name="n1")

    assert (node.name, node.conditions, node.zone, node.cpu) == ("n1", (), "", None)


@pytest.mark.parametrize(
    ("label", "value", "host"),
    [
        ("eks.amazonaws.com/compute-type", "auto", "machine"),
        ("eks.amazonaws.com/compute-type", "fargate", "fargate"),
        ("type", "virtual-kubelet", "virtual"),
    ],
)
def test_a_node_that_takes_no_daemonset_is_known_by_the_labels_that_the_chart_avoids(
    label: str, value: str, host: str
) -> None:
    node = node_state(a_node(**{label: value, "kubernetes.io/os": "linux"}), name="n1")

    assert (node.host, node.os) == (host, "linux")
