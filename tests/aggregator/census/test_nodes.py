"""What is kept of a node: who stands behind it is told by its labels."""

import json

import pytest

from aggregator.census.nodes import NodeInfo, node_state

EKS = {
    "kubernetes.io/os": "linux",
    "topology.kubernetes.io/zone": "eu-west-2a",
    "node.kubernetes.io/instance-type": "m7g.large",
}


def info_of(labels: object) -> NodeInfo:
    return node_state(json.dumps({"metadata": {"labels": labels}}).encode(), name="n1").info


@pytest.mark.parametrize(
    ("more", "host"),
    [
        ({}, "machine"),
        ({"eks.amazonaws.com/compute-type": "auto"}, "machine"),
        ({"eks.amazonaws.com/compute-type": "fargate"}, "fargate"),
        ({"type": "virtual-kubelet"}, "virtual"),
    ],
)
def test_a_node_that_takes_no_daemonset_is_known_by_the_labels_that_the_chart_avoids(more, host) -> None:
    assert info_of(EKS | more) == NodeInfo("eu-west-2a", "m7g.large", "linux", host)


@pytest.mark.parametrize("labels", [None, {}])
def test_a_node_without_labels_is_a_machine_of_which_nothing_is_known(labels) -> None:
    assert info_of(labels) == NodeInfo("", "", "", "machine")
