"""Under which names lines go out, and when that is decided."""

from agent.tail.naming import Naming
from agent.tail.paths import Instance
from kubescribe.labels.pods import PodFacts
from tests.agent.tail.conftest import KnownPods

WEB = Instance("shop", "web-7d9f8c6b5-x2x4z", "u-1", "app", 2)


def naming(pods: KnownPods) -> Naming:
    return Naming(pods=pods, cluster="c1", node="n1", pod_labels=("team",), hold_seconds=5.0)


def test_a_known_pod_is_named_at_once_and_in_full() -> None:
    pods = KnownPods()
    pods.pods["u-1"] = PodFacts(
        namespace="shop", name="web", uid="u-1", node="n1", labels={"team": "a", "app": "web"}, images={"app": "web:1"}
    )

    named = naming(pods).decide(WEB, waited_seconds=0.0)

    assert named is not None
    assert named.labels["service_name"] == "web"
    assert named.metadata == {
        "pod": "web",
        "pod_uid": "u-1",
        "node": "n1",
        "zone": "zone-a",
        "image": "web:1",
        "restart": "2",
        "team": "a",
    }


def test_an_unknown_pod_is_waited_for_and_then_guessed_from_the_path() -> None:
    pods = KnownPods()

    assert naming(pods).decide(WEB, waited_seconds=4.9) is None
    named = naming(pods).decide(WEB, waited_seconds=5.0)

    assert named is not None
    assert (named.labels["workload_kind"], named.labels["workload"]) == ("Deployment", "web")
    assert (named.metadata["meta"], named.metadata["node"]) == ("partial", "n1")


def test_a_zone_that_nobody_told_is_waited_for_and_then_left_out() -> None:
    pods = KnownPods()
    pods.pods["u-1"] = PodFacts(namespace="shop", name="web", uid="u-1")
    pods.zone = None

    assert naming(pods).decide(WEB, waited_seconds=0.0) is None
    named = naming(pods).decide(WEB, waited_seconds=5.0)

    assert named is not None
    assert "zone" not in named.metadata
    assert "meta" not in named.metadata


def test_what_is_still_to_come_is_waited_for_longer() -> None:
    pods = KnownPods()
    pods.comes_later = True
    pods.zone = None
    assert naming(pods).decide(WEB, waited_seconds=5.0) is None

    pods.pods["u-1"] = PodFacts(namespace="shop", name="web", uid="u-1", node="n1")
    assert naming(pods).decide(WEB, waited_seconds=5.0) is None

    pods.zone = "zone-a"
    named = naming(pods).decide(WEB, waited_seconds=5.0)
    assert named is not None
    assert named.metadata["zone"] == "zone-a"
