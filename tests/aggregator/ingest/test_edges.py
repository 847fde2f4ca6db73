"""What happens to containers and rollouts is counted once, whatever is repeated, late, missed or restored."""

from pathlib import Path

import msgspec
import pytest

from aggregator.census.families import COUNTERS
from aggregator.records import CounterKey
from aggregator.store.opening import open_journal
from kubescribe.wire.records import Change, Occurrence, Snapshot

SECOND = 1_000_000_000
RECORDINGS = Path(__file__).parents[2] / "data" / "recordings"
OWNER = ("shop", "Deployment", "orders", "app")


def terminated(reason="Error", n=0):
    return {"terminated": {"reason": reason, "exitCode": 1, "containerID": f"containerd://{n}"}}


def status(restarts, state=None, last=None, *, of=None, name="app"):
    """The status of a container; *of* is the number in its containerID, by default that of the running instance."""
    return {
        "name": name,
        "restartCount": restarts,
        "state": state or {"running": {}},
        "lastState": last or {},
        "containerID": f"containerd://{restarts if of is None else of}",
    }


def a_pod(rv, *statuses, uid="u", gone=False, listed=False, term=1, phase="Running", **spec) -> Change:
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "orders-5d8f7c9b6d-x2x4x",
            "namespace": "shop",
            "uid": uid,
            "labels": {"pod-template-hash": "5d8f7c9b6d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "orders-5d8f7c9b6d", "controller": True}],
        },
        "spec": {"containers": [{"name": "app"}], **spec},
        "status": {"phase": phase, "containerStatuses": list(statuses), "n": rv},
    }
    return Change(
        stream="pods",
        term=term,
        kind="Pod",
        namespace="shop",
        name="orders-5d8f7c9b6d-x2x4x",
        uid=uid,
        resource_version=rv,
        observed_at=rv * SECOND,
        gone=gone,
        listed=listed,
        body=msgspec.json.encode(body),
    )


def a_snapshot(rv: int, *changes: Change, term=1, epoch=1, snapshot_id="s"):
    common = {"stream": "pods", "term": term, "kind": "Pod", "id": snapshot_id, "resource_version": rv}
    common |= {"observed_at": rv * SECOND, "consistent": True, "epoch": epoch}
    uids = tuple(change.uid for change in changes)
    return [
        Snapshot(phase="begin", **common),
        *changes,
        Snapshot(phase="part", uids=uids, versions=tuple(change.resource_version for change in changes), **common),
        Snapshot(phase="end", count=len(uids), **common),
    ]


async def counters_of(journal) -> dict[CounterKey, int]:
    """What the journal holds: `open` tells the state of a memory journal also while it is open."""
    return (await journal.open()).counters


def restarts(counters) -> int | None:
    return counters.get(CounterKey("container_restarts_total", OWNER))


def endings(counters) -> dict[str, int]:
    found = {key.labels: value for key, value in counters.items() if key.family == "container_terminations_total"}
    assert all(labels[:4] == OWNER for labels in found)
    return {labels[4]: value for labels, value in found.items() if value}


@pytest.fixture
def counted(scribe):
    """Return what was counted so far, as the outlets are told it."""

    def read() -> dict[CounterKey, int]:
        total: dict[CounterKey, int] = {}
        for done in scribe.committed:
            for key, by in done.counters.items():
                total[key] = total.get(key, 0) + by
        return total

    return read


async def test_a_live_container_has_its_series_at_0_before_anything_happens(scribe, counted):
    await scribe.send(a_pod(1, status(0)))

    zeros = {key for key, value in counted().items() if value == 0}
    assert {CounterKey("container_terminations_total", (*OWNER, reason)) for reason in ("OOMKilled", "Error")} <= zeros
    assert CounterKey("container_restarts_total", OWNER) in zeros


async def test_a_first_sight_with_seven_restarts_counts_none(scribe, counted):
    await scribe.send(a_pod(1, status(7, last=terminated("OOMKilled", 6))))

    assert restarts(counted()) == 0
    assert endings(counted()) == {}


async def test_a_crash_is_counted_once_on_its_way_through_all_its_statuses(scribe, counted):
    await scribe.send(a_pod(1, phase="Pending"), a_pod(2, status(0)))
    await scribe.send(a_pod(3, status(0, terminated("OOMKilled", 0))))
    assert (restarts(counted()), endings(counted())) == (0, {"OOMKilled": 1})

    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    await scribe.send(a_pod(4, status(0, waiting, terminated("OOMKilled", 0))))
    await scribe.send(a_pod(5, status(1, last=terminated("OOMKilled", 0))))
    await scribe.send(a_pod(6, status(1, terminated("Error", 1), terminated("OOMKilled", 0))))

    assert (restarts(counted()), endings(counted())) == (1, {"OOMKilled": 1, "Error": 1})


async def test_repeated_and_late_versions_count_nothing_more(scribe, counted):
    await scribe.send(a_pod(1, status(0)), a_pod(5, status(1, last=terminated(n=0))))
    await scribe.send(a_pod(5, status(1, last=terminated(n=0))), a_pod(1, status(0)))
    await scribe.send(a_pod(3, status(0, terminated(n=0))))
    await scribe.send(a_pod(6, status(1, last=terminated(n=0)), gone=True))

    assert (restarts(counted()), endings(counted())) == (1, {"Error": 1})


async def test_what_happened_between_two_versions_is_counted_and_what_nobody_saw_is_unknown(scribe, counted):
    await scribe.send(a_pod(1, status(3, last=terminated(n=2))))
    await scribe.send(a_pod(9, status(7, terminated("OOMKilled", 7), terminated("Error", 6))))

    assert (restarts(counted()), endings(counted())) == (4, {"OOMKilled": 1, "Error": 1, "Unknown": 3})


async def test_a_pod_that_ended_unseen_is_inferred_and_counts_nothing(scribe, counted):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_pod(1, status(0), listed=True)))
    await scribe.send(*a_snapshot(20, snapshot_id="t"))

    assert endings(counted()) == {}
    assert not scribe.pipeline.ledger.roll.pods()


async def test_the_last_word_of_a_delete_is_counted(scribe, counted):
    await scribe.send(a_pod(1, status(0)), a_pod(2, status(0, terminated("Completed")), gone=True, phase="Succeeded"))

    assert endings(counted()) == {"Completed": 1}


async def test_a_status_that_forgets_for_a_while_is_not_counted_again(scribe, counted):
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    await scribe.send(a_pod(1, status(0)), a_pod(2, status(0, waiting, terminated(n=0))))
    await scribe.send(a_pod(3, status(0, {"waiting": {}}, of=99)))
    await scribe.send(a_pod(4, status(1, last=terminated(n=0))))

    assert (restarts(counted()), endings(counted())) == (1, {"Error": 1})
    assert not scribe.pipeline.ledger.series.marks


async def test_a_runtime_that_lost_its_containers_counts_from_0_anew(scribe, counted):
    await scribe.send(a_pod(1, status(5, last=terminated(n=4))))
    await scribe.send(a_pod(2, status(0)))
    await scribe.send(a_pod(3, status(1, last=terminated("OOMKilled", 0))))

    assert (restarts(counted()), endings(counted())) == (1, {"OOMKilled": 1})


async def test_what_a_restored_store_forgot_is_not_counted_again_also_after_a_restart(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    async with reopen(url) as scribe:
        await scribe.claim("pods")
        await scribe.send(*a_snapshot(100, a_pod(50, status(3), listed=True)))
        await scribe.send(a_pod(101, status(5, last=terminated(n=4))))
        await scribe.claim("pods")
        # A list that lies below the resume point: the store was restored, and the pod is what it was before.
        await scribe.send(*a_snapshot(60, a_pod(50, status(3), listed=True, term=2), term=2, snapshot_id="t"))
        assert scribe.pipeline.ledger.epoch == 2

    async with reopen(url) as again:
        again.n = scribe.n
        await again.send(a_pod(61, status(5, last=terminated(n=4)), term=2))
        await again.send(a_pod(62, status(6, last=terminated("OOMKilled", 5)), term=2))
        assert not again.pipeline.ledger.series.marks

    counters = await counters_of(journal := open_journal(url))
    await journal.close()
    assert (restarts(counters), endings(counters)) == (3, {"Error": 1, "Unknown": 1, "OOMKilled": 1})


async def test_counting_goes_on_after_a_restart_from_what_the_journal_holds(tmp_path, reopen):
    url = str(tmp_path / "journal.db")
    async with reopen(url) as scribe:
        await scribe.send(a_pod(1, status(0)), a_pod(2, status(0, terminated(n=0))))
    async with reopen(url) as again:
        again.n = scribe.n
        await again.send(a_pod(3, status(1, last=terminated(n=0))))

    counters = await counters_of(journal := open_journal(url))
    await journal.close()
    assert (restarts(counters), endings(counters)) == (1, {"Error": 1})


@pytest.mark.parametrize("nonsense", [{"restartCount": "many"}, {"restartCount": -1}, {"restartCount": 2**40}, 7])
async def test_nonsense_is_counted_as_nothing_and_harms_no_other(scribe, counted, nonsense):
    told = {**status(0), **nonsense} if isinstance(nonsense, dict) else nonsense
    await scribe.send(a_pod(1, status(0)), a_pod(2, told), a_pod(1, status(0), uid="v"))
    await scribe.send(a_pod(2, status(1, last=terminated(n=0)), uid="v"))

    assert (restarts(counted()), endings(counted())) == (1, {"Error": 1})
    assert not scribe.pipeline.ledger.open_gaps.get("malformed/Pod/u/2")
    assert CounterKey("gaps_total", ("malformed",)) not in counted()


async def test_a_reason_is_from_a_closed_set(scribe, counted):
    await scribe.send(a_pod(1, status(0)), a_pod(2, status(0, terminated("my-own-reason-7"))))

    assert endings(counted()) == {"Other": 1}


def an_event(rv, reason, *, event_type="Warning"):
    return Occurrence(
        stream="events",
        term=1,
        uid=f"e{rv}",
        name="e",
        namespace="shop",
        resource_version=rv,
        observed_at=rv * SECOND,
        reason=reason,
        event_type=event_type,
    )


async def test_only_words_of_the_apis_kind_become_reasons(scribe, counted):
    await scribe.send(an_event(1, "BackOff"), an_event(2, "no such thing: 17"), an_event(3, "Ok", event_type="Weird"))

    found = {key.labels for key in counted() if key.family == "occurrences_total"}
    assert found == {("shop", "BackOff", "Warning"), ("shop", "other", "Warning"), ("shop", "Ok", "other")}


async def test_a_family_keeps_its_limit_in_the_journal_and_counts_what_it_folds(scribe, counted):
    limit = COUNTERS["gaps_total"].max_series
    await scribe.pipeline.note(lambda draft: [draft.count("gaps_total", f"cause-{n}") for n in range(limit + 5)])
    await scribe.pipeline.note(lambda draft: draft.count("gaps_total", "cause-1"))
    await scribe.pipeline.note(lambda draft: draft.count("gaps_total", "new"))

    counters = counted()
    assert len({key for key in counters if key.family == "gaps_total"}) == limit + 1
    assert counters[CounterKey("gaps_total", ("other",))] == 6
    assert counters[CounterKey("series_folded_total", ("gaps_total",))] == 6
    assert counters[CounterKey("gaps_total", ("cause-1",))] == 2


def recorded(resource: str):
    """Give the versions of a recorded watch as an agent reports them."""
    kind = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}[resource]
    for line in (RECORDINGS / f"{resource}.watch.ndjson").read_bytes().splitlines():
        event = msgspec.json.decode(line)
        if event["type"] not in {"ADDED", "MODIFIED", "DELETED"}:
            continue
        meta = event["object"]["metadata"]
        version, generation = int(meta.pop("resourceVersion")), meta.pop("generation")
        yield Change(
            stream=resource,
            term=1,
            kind=kind,
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            resource_version=version,
            observed_at=version * SECOND,
            generation=generation,
            gone=event["type"] == "DELETED",
            body=msgspec.json.encode(event["object"]),
        )


@pytest.mark.parametrize(
    ("resource", "completed"),
    [
        ("deployments", {"payments": 1, "checkout": 1, "orders": 1, "search": 1}),
        ("statefulsets", {"cart": 1}),
        ("daemonsets", {"logger": 1}),
    ],
)
async def test_each_recorded_rollout_is_counted_once_and_scaling_is_none(scribe, counted, resource, completed):
    for change in recorded(resource):
        await scribe.send(change)

    rollouts = {key.labels: value for key, value in counted().items() if key.family == "rollouts_total"}
    assert {labels[2]: value for labels, value in rollouts.items() if value} == completed
    assert {labels[3] for labels, value in rollouts.items() if value} == {"completed"}
    assert {labels[3] for labels in rollouts} == {"completed", "failed", "superseded"}


def a_deployment(rv, revision, reason):
    body = {
        "metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": rv, "conditions": [{"type": "Progressing", "reason": reason}]},
    }
    return Change(
        stream="deployments",
        term=1,
        kind="Deployment",
        namespace="shop",
        name="orders",
        uid="d",
        resource_version=rv,
        observed_at=rv * SECOND,
        generation=rv,
        body=msgspec.json.encode(body),
    )


async def test_a_rollout_that_fails_and_one_that_the_next_overtakes_are_told_apart(scribe, counted):
    told = ["ReplicaSetUpdated", "ProgressDeadlineExceeded", "ProgressDeadlineExceeded"]
    await scribe.send(*(a_deployment(rv, "1", reason) for rv, reason in enumerate(told, 1)))
    await scribe.send(a_deployment(5, "2", "NewReplicaSetCreated"), a_deployment(6, "3", "NewReplicaSetCreated"))
    await scribe.send(a_deployment(7, "3", "NewReplicaSetAvailable"), a_deployment(8, "3", "NewReplicaSetAvailable"))

    rollouts = {key.labels[3]: value for key, value in counted().items() if key.family == "rollouts_total"}
    assert rollouts == {"failed": 1, "superseded": 1, "completed": 1}
