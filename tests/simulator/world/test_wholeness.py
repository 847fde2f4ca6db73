"""What the controllers can work with."""

import pytest

from simulator.world.wholeness import is_whole


@pytest.mark.parametrize(
    ("obj", "verdict"),
    [
        ({"spec": {"containers": [{"image": "web:1"}]}}, True),
        ({"spec": {"containers": []}}, False),
        ({"spec": {"containers": [{"image": None}]}}, False),
        ({"spec": None}, False),
        ({}, False),
    ],
)
def test_a_pod_needs_an_image(obj, verdict):
    assert is_whole("pods", obj) is verdict


def test_what_no_controller_reads_is_whole():
    assert is_whole("configmaps", {})
