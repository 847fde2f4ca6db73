"""What is taken from a pod, real ones and nonsense."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from aggregator.census.pods import PodState, Resource, next_pod_state, pod_state
from aggregator.store.patches import diff

RECORDINGS = Path(__file__).parents[2] / "data" / "recordings"


def of(status: dict, spec: dict | None = None) -> PodState | None:
    body = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}, "spec": spec or {}, "status": status}
    return pod_state(msgspec.json.encode(body), namespace="shop", name="p", node="n1")


def recorded_lives() -> list[list[bytes]]:
    lives: dict[str, list[bytes]] = {}
    for line in (RECORDINGS / "pods.watch.ndjson").read_bytes().splitlines():
        event = msgspec.json.decode(line)
        if event["type"] in {"ADDED", "MODIFIED"}:
            lives.setdefault(event["object"]["metadata"]["uid"], []).append(msgspec.json.encode(event["object"]))
    return list(lives.values())


def test_following_a_life_by_its_patches_says_the_same_as_reading_every_version() -> None:
    for life in recorded_lives():
        names = {"namespace": "shop", "name": "p", "node": "n1"}
        state = pod_state(life[0], **names)
        for before, body in pairwise(life):
            whole = pod_state(body, **names)
            state = whole if state is None else next_pod_state(state, body, diff(before, body), node="n1")

            assert state == whole


def test_what_containers_ask_for_is_in_base_units_and_init_containers_are_told_too() -> None:
    app = {"name": "app", "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": 5}}}
    state = of({"phase": "Running"}, {"containers": [app], "initContainers": [{"name": "init"}]})

    assert state is not None
    assert state.names == ("init", "app")
    assert state.resources == (Resource("app", "cpu", "core", 0.25, None), Resource("app", "memory", "byte", 2**30, 5))


def test_what_is_over_before_the_others_begin_is_marked_and_a_sidecar_is_not() -> None:
    asked = {"resources": {"requests": {"cpu": "1"}}}
    first = [{"name": "migrate", **asked}, {"name": "mesh", "restartPolicy": "Always", **asked}]
    state = of({"phase": "Running"}, {"containers": [{"name": "app", **asked}], "initContainers": first})

    assert state is not None
    assert {it.container: it.is_passing for it in state.resources} == {"migrate": True, "mesh": False, "app": False}


def test_a_container_that_is_named_twice_is_told_once() -> None:
    twice = [{"name": "app", "resources": {"requests": {"cpu": cpu}}} for cpu in ("1", "2")]
    state = of({"phase": "Running"}, {"containers": twice})

    assert state is not None
    assert state.resources == (Resource("app", "cpu", "core", 2.0, None),)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, True),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}, False),
        ({"type": "PodScheduled", "status": "True"}, False),
        ({"type": "Ready", "status": "False", "reason": "Unschedulable"}, False),
    ],
)
def test_only_what_the_scheduler_gave_up_is_unschedulable(condition, expected) -> None:
    state = of({"phase": "Pending", "conditions": [condition]})

    assert state is not None
    assert state.is_unschedulable is expected


@pytest.mark.parametrize("status", [{}, {"phase": ""}])
def test_a_pod_that_tells_no_phase_has_no_state(status) -> None:
    assert of(status) is None


@pytest.mark.parametrize("quantity", ["many", "", "1e9999", "-"])
def test_an_amount_that_is_none_is_not_told(quantity) -> None:
    app = {"name": "app", "resources": {"requests": {"cpu": quantity}}}
    state = of({"phase": "Running"}, {"containers": [app]})

    assert state is not None
    assert state.resources == ()


def test_a_phase_that_is_none_is_unknown() -> None:
    state = of({"phase": "Dancing"})

    assert state is not None
    assert state.phase == "Unknown"
