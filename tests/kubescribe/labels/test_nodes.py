"""The zone of a node, as its object tells it."""

import json

import pytest

from kubescribe.labels.nodes import zone_in

_UNINITIALIZED = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("labels", "taints", "zone"),
    [
        ({"topology.kubernetes.io/zone": "eu-1a"}, [], "eu-1a"),
        ({"topology.kubernetes.io/zone": "eu-1a"}, [_UNINITIALIZED], "eu-1a"),
        ({}, [], ""),
        ({}, [_UNINITIALIZED], None),
    ],
)
def test_a_node_has_a_zone_or_none_or_may_still_get_one(labels, taints, zone):
    body = {"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": taints}}

    assert zone_in(json.dumps(body, separators=(",", ":")).encode()) == zone
