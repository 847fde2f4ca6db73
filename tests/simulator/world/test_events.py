"""Events: counted, remembered within bounds, and gone after their time."""

import pytest

from simulator.world.events import Recorder

ABOUT = {"metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}}


@pytest.fixture
def recorder(laboratory):
    return Recorder(laboratory.world.cluster, ttl_seconds=100.0)


def post(recorder, message="Back-off", **more):
    recorder.post("kubelet", ABOUT, "BackOff", message, kind="Pod", warning=True, host="node-1", **more)


def test_a_repetition_raises_the_count_and_the_last_time_of_one_event(laboratory, recorder):
    post(recorder)
    laboratory.advance(5)
    post(recorder)

    (event,) = laboratory.events(reason="BackOff")
    assert event["count"] == 2
    assert event["firstTimestamp"] < event["lastTimestamp"]
    assert event["metadata"]["managedFields"][0]["manager"] == "kubelet"


def test_another_message_is_another_event(laboratory, recorder):
    post(recorder)
    post(recorder, "Back-off, longer")

    assert [event["count"] for event in laboratory.events(reason="BackOff")] == [1, 1]


def test_an_event_that_was_deleted_starts_again_at_one(laboratory, recorder):
    post(recorder)
    (event,) = laboratory.events(reason="BackOff")
    laboratory.etcd.delete("events", "shop", event["metadata"]["name"])

    post(recorder)

    (event,) = laboratory.events(reason="BackOff")
    assert event["count"] == 1


def test_a_repetition_renews_the_lease(laboratory, recorder):
    post(recorder)
    laboratory.advance(80)
    post(recorder)

    laboratory.advance(80)
    assert laboratory.events(reason="BackOff")

    laboratory.advance(21)
    assert not laboratory.events(reason="BackOff")


def test_events_of_an_earlier_run_live_for_the_rest_of_their_time(laboratory, recorder):
    post(recorder)
    laboratory.advance(60)
    laboratory.world.cluster.agenda.clear()

    Recorder(laboratory.world.cluster, ttl_seconds=100.0).adopt()

    laboratory.advance(39)
    assert laboratory.events(reason="BackOff")
    laboratory.advance(2)
    assert not laboratory.events(reason="BackOff")


def test_the_memory_of_repetitions_is_bounded(laboratory, recorder, monkeypatch):
    monkeypatch.setattr("simulator.world.events._REMEMBERED", 3)
    for number in range(5):
        post(recorder, f"message {number}")

    assert len(recorder._seen) == 3


def test_an_event_about_a_node_is_in_the_namespace_default_and_names_none(laboratory, recorder):
    node = {"metadata": {"name": "node-1", "uid": "node-1"}}

    recorder.post("node-controller", node, "RegisteredNode", "Registered", kind="Node")

    event = next(item for item in laboratory.events(reason="RegisteredNode") if item["message"] == "Registered")
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]
