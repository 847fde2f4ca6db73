"""A pod that leaves the unscheduled ones is neither dead nor forgotten until somebody tells what became of it."""

import pytest
from msgspec.structs import replace

from aggregator.records import ObjectKey
from kubescribe.wire.records import Departed, Interval, Snapshot
from tests.aggregator.ingest.house import SECOND, a_pod

UNSCHEDULED = "pods/unscheduled"


def departed(name: str, rv: int) -> Departed:
    return Departed(
        stream=UNSCHEDULED,
        term=1,
        kind="Pod",
        uid=f"pod-{name}",
        resource_version=rv,
        observed_at=rv * SECOND,
        name=name,
    )


def a_snapshot(rv: int, *names: str) -> list[Snapshot]:
    common = {"stream": UNSCHEDULED, "term": 1, "kind": "Pod", "id": f"s{rv}", "resource_version": rv}
    uids = tuple(f"pod-{name}" for name in names)
    return [
        Snapshot(phase="begin", consistent=True, epoch=1, observed_at=rv * SECOND, **common),
        Snapshot(phase="part", observed_at=rv * SECOND, uids=uids, versions=(1,) * len(uids), **common),
        Snapshot(phase="end", observed_at=rv * SECOND, count=len(uids), **common),
    ]


def in_doubt(scribe) -> dict[str, tuple[int, bool]]:
    """Return (version of a delete, was it absent) of what is in doubt, by name."""
    return {row.name: (row.resource_version, row.after > 0) for row in scribe.pipeline.ledger.doubts.values()}


@pytest.fixture
async def leader(scribe):
    await scribe.claim(UNSCHEDULED)
    await scribe.send(a_pod("web", 10), a_pod("db", 11))
    return scribe


async def test_a_pod_that_departs_is_alive_and_in_doubt(leader, versions):
    await leader.send(departed("web", 20))

    assert in_doubt(leader) == {"web": (20, False)}
    assert await versions("pod-web") == [(1, 10, "added")]


async def test_the_nodes_word_of_the_same_version_settles_it(leader, versions):
    await leader.send(departed("web", 20))
    await leader.other("spool-b").send(a_pod("web", 20, node="n1"))

    assert in_doubt(leader) == {}
    assert await versions("pod-web") == [(1, 10, "added"), (1, 20, "modified")]


async def test_a_departure_that_comes_after_the_nodes_word_is_no_doubt(leader):
    await leader.other("spool-b").send(a_pod("web", 20, node="n1"))
    await leader.send(departed("web", 20))

    assert in_doubt(leader) == {}


async def test_both_in_one_transaction_are_settled_whatever_their_order(leader):
    await leader.send(departed("web", 20), a_pod("web", 20, node="n1"), a_pod("db", 21, node="n1"), departed("db", 21))

    assert in_doubt(leader) == {}


async def test_a_delete_that_the_node_saw_settles_it_too(leader, versions):
    await leader.send(departed("web", 20))
    await leader.other("spool-b").send(a_pod("web", 25, node="n1", gone=True))

    assert in_doubt(leader) == {}
    assert (await versions("pod-web"))[-1] == (1, 25, "deleted")


async def test_a_version_from_before_the_departure_settles_nothing(leader):
    await leader.send(departed("web", 20))
    await leader.send(a_pod("web", 15))

    assert in_doubt(leader) == {"web": (20, False)}


async def test_a_confirmed_departure_is_a_delete_with_the_version_of_the_departure(leader, versions):
    await leader.send(departed("web", 20))
    await leader.send(a_pod("web", 20, gone=True, listed=True))

    assert in_doubt(leader) == {}
    assert await versions("pod-web") == [(1, 10, "added"), (1, 20, "deleted")]
    assert [head.name for head in await leader.pipeline._journal.living("Pod", None)] == ["db"]


async def test_the_departure_of_somebody_unknown_or_dead_is_no_doubt(leader):
    await leader.send(departed("never-seen", 20), a_pod("db", 21, gone=True), departed("db", 22))

    assert in_doubt(leader) == {}


async def test_what_a_list_does_not_hold_is_in_doubt_and_not_dead(leader, versions):
    await leader.send(*a_snapshot(30, "db"))

    assert in_doubt(leader) == {"web": (10, True)}
    assert await versions("pod-web") == [(1, 10, "added")]


async def test_a_pod_that_vanished_unseen_is_an_inferred_delete_once_it_is_confirmed(leader, versions):
    await leader.send(*a_snapshot(30, "db"))
    gone = a_pod("web", 10, gone=True, listed=True, at=40 * SECOND)
    await leader.send(_inferred(gone, after=30 * SECOND))

    assert in_doubt(leader) == {}
    assert await versions("pod-web") == [(1, 10, "added"), (1, 10, "inferredDeleted")]


async def test_a_pod_that_a_list_missed_and_that_is_still_there_is_in_doubt_no_more(leader):
    await leader.send(*a_snapshot(30, "db"))
    since = leader.pipeline.ledger.doubts[ObjectKey("Pod", "pod-web")].since
    await leader.send(a_pod("web", 10, listed=True, at=since + SECOND))

    assert in_doubt(leader) == {}


async def test_a_resent_sight_from_before_the_doubt_does_not_settle_it(leader):
    await leader.send(*a_snapshot(30, "db"))
    await leader.other("spool-b").send(a_pod("web", 10, listed=True, at=5 * SECOND))

    assert in_doubt(leader) == {"web": (10, True)}


async def test_doubts_survive_a_restart(url, reopen):
    if url == "memory:":
        pytest.skip("a journal in memory does not outlive its process")
    async with reopen(url) as scribe:
        await scribe.claim(UNSCHEDULED)
        await scribe.send(a_pod("web", 10), departed("web", 20))
    async with reopen(url) as scribe:
        assert in_doubt(scribe) == {"web": (20, False)}
        await scribe.other("spool-b").send(a_pod("web", 20, node="n1"))
    async with reopen(url) as scribe:
        assert in_doubt(scribe) == {}


def _inferred(change, *, after: int):
    from msgspec.structs import replace

    return replace(change, inferred=Interval(after=after, before=change.observed_at))


async def test_a_version_that_is_no_news_settles_it_too(leader, versions):
    await leader.send(*a_snapshot(40, "db"))
    assert in_doubt(leader) == {"web": (10, True)}

    found = replace(a_pod("web", 41, listed=True), body=a_pod("web", 10).body)
    await leader.send(found)
    assert in_doubt(leader) == {}
    assert await versions("pod-web") == [(1, 10, "added")]


async def test_a_delete_that_somebody_else_infers_settles_it_at_whatever_version(leader, versions):
    await leader.send(departed("web", 20))
    whole = leader.other("spool-all")
    await whole.claim("pods")
    await whole.send(*(replace(it, stream="pods") for it in a_snapshot(50, "db")))

    assert in_doubt(leader) == {}
    assert await versions("pod-web") == [(1, 10, "added"), (1, 10, "inferredDeleted")]
