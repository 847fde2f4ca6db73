"""Each end of a container is told once, whatever versions of its pod were seen."""

import json
from pathlib import Path

from aggregator.outlets.loki.subjects import Subject
from aggregator.outlets.loki.terminations import termination_entry, terminations
from tests.aggregator.outlets.loki.house import SECOND, ended, pod, status

AT = 1_790_000_000 * SECOND
RECORDINGS = Path(__file__).parents[3] / "data" / "recordings"


def ends(before, after):
    return [(found.container, found.restart, found.ended.exit_code) for found in terminations(before, after)]


def test_an_end_is_told_when_it_shows_and_not_again_when_the_container_starts_anew():
    running = pod(containers=[status()])
    dead = pod(containers=[status(state=ended(AT))])
    again = pod(containers=[status(restarts=1, last=ended(AT))])

    assert ends(running, dead) == [("app", 0, 1)]
    assert ends(dead, again) == []
    assert ends(running, again) == [("app", 0, 1)], "seen only when it was over"


def test_two_ends_between_two_versions_are_both_told():
    running = pod(containers=[status()])
    second_end = ended(AT + 60 * SECOND, code=137, reason="OOMKilled", container_id="containerd://c2")
    dead_again = pod(containers=[status(restarts=1, state=second_end, last=ended(AT))])

    assert ends(running, dead_again) == [("app", 0, 1), ("app", 1, 137)]


def test_a_pod_that_is_seen_for_the_first_time_tells_all_that_it_knows():
    assert ends(None, pod(containers=[status(restarts=4, last=ended(AT))])) == [("app", 3, 1)]
    assert ends(None, pod()) == []


def test_the_same_end_is_the_same_entry_from_whatever_version_it_was_read():
    subject = Subject(labels={"namespace": "shop"}, metadata={"pod": "web"})
    (dead,) = terminations(None, pod(containers=[status(state=ended(AT))]))
    (again,) = terminations(None, pod(containers=[status(restarts=1, last=ended(AT))]))

    first = termination_entry(dead, subject, pod="web", observed_at=1)
    second = termination_entry(again, subject, pod="web", observed_at=2)

    assert first == second
    assert first.at == AT
    assert first.line.startswith("level=error reason=Error exit_code=1 container=app pod=web restart=0 started=")
    assert "ran_seconds=90" in first.line
    assert first.metadata["container_id"] == "c1"


def test_how_it_ended_is_in_the_line():
    def line(**facts):
        (found,) = terminations(None, pod(containers=[status(state=ended(AT, **facts))]))
        return termination_entry(found, Subject(labels={}, metadata={}), pod="p", observed_at=AT).line

    assert "level=info reason=Completed exit_code=0" in line(code=0, reason="Completed")
    assert "level=error reason=OOMKilled exit_code=137 signal=9" in line(code=137, reason="OOMKilled")
    assert "level=warn" in line(code=143)
    assert 'msg="no such \\"file\\" or directory"' in line(message='no such "file"\n or directory')


def test_an_end_without_a_time_is_at_the_moment_when_it_was_seen():
    lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}}
    (found,) = terminations(None, pod(containers=[status(state=lost)]))

    assert termination_entry(found, Subject(labels={}, metadata={}), pod="p", observed_at=AT).at == AT


def test_the_recorded_lives_of_pods_tell_each_end_once():
    before: dict[str, bytes] = {}
    told: list[tuple[object, ...]] = []
    for line in (RECORDINGS / "pods.watch.ndjson").read_bytes().splitlines():
        item = json.loads(line)["object"]
        uid, body = item["metadata"].get("uid"), json.dumps(item).encode()
        if uid is not None:
            told += [(uid, it.container, it.ended.finished_at) for it in terminations(before.get(uid), body)]
            before[uid] = body

    assert told
    assert len(told) == len(set(told))
