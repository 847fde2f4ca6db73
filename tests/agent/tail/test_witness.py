"""What the API says of pods whose files nobody saw is told, and nothing that may have been seen."""

import pytest
from msgspec.structs import replace

from agent.pods.ending import Ended
from agent.tail.witness import EarlierLife, Seen, unseen
from kubescribe.labels.pods import PodFacts

SECOND = 10**9
BEGUN = 1_000 * SECOND
POD = PodFacts(namespace="shop", name="web-0", uid="u-1", node="n1", created_at=BEGUN + 60 * SECOND)


def told(pod: PodFacts, *seen_uids: str) -> list[str]:
    seen = Seen()
    for uid in seen_uids:
        seen.add(uid)
    ended = Ended(pod=pod, containers=("init", "app"), told_at=BEGUN + 70 * SECOND)
    return [missed.container for missed in unseen([ended], seen, node="n1", after=BEGUN)]


def test_each_container_that_ran_here_unseen_is_missed() -> None:
    assert told(POD, "u-2") == ["init", "app"]


def test_a_pod_whose_folder_was_seen_is_not_missed() -> None:
    assert told(POD, "u-1") == []


@pytest.mark.parametrize("changes", [{"node": "n2"}, {"created_at": BEGUN - SECOND}, {"created_at": 0}])
def test_a_pod_of_another_node_or_of_an_earlier_life_is_left_alone(changes: dict[str, object]) -> None:
    assert told(replace(POD, **changes)) == []


def test_a_first_life_leaves_alone_what_ran_before_it_and_another_what_the_one_before_may_have_read() -> None:
    first = EarlierLife(saved_at=0, uids=frozenset())
    another = EarlierLife(saved_at=BEGUN - 600 * SECOND, uids=frozenset())

    assert first.unwatched_since(BEGUN) == BEGUN + 10 * SECOND
    assert another.unwatched_since(BEGUN) == BEGUN - 610 * SECOND


def test_a_static_pod_is_seen_under_the_uid_of_its_files() -> None:
    static = replace(POD, annotations={"kubernetes.io/config.mirror": "f-1"})

    assert told(static, "f-1") == []
    assert told(static, "u-1") == ["init", "app"]


def test_no_more_pods_are_remembered_than_20_000() -> None:
    seen = Seen()
    for number in range(20_001):
        seen.add(f"u-{number}")

    assert "u-0" not in seen
    assert "u-1" in seen
