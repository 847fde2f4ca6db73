"""From batches to the journal, over both stores: identity, order, absence, epochs, occurrences, gaps."""

import asyncio

import msgspec
import pytest

from aggregator.errors import StoreUnavailable
from aggregator.records import ObjectQuery, RecordQuery
from kubescribe.wire.records import Actor, Change, Gap, Occurrence, Progress, Snapshot

SECOND = 1_000_000_000


def body(**fields) -> bytes:
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, **fields})


def a_change(rv: int, *, uid="u", gone=False, listed=False, term=1, stream="pods", at=None, **fields) -> Change:
    return Change(
        stream=stream,
        term=term,
        kind="Pod",
        namespace="shop",
        name=uid,
        uid=uid,
        resource_version=rv,
        observed_at=(rv if at is None else at) * SECOND,
        gone=gone,
        listed=listed,
        actor=Actor(manager="kubectl", time=SECOND),
        body=body(**(fields or {"spec": {"n": rv}})),
    )


def a_snapshot(rv: int, *changes: Change, term=1, epoch=1, snapshot_id="s", stream="pods"):
    common = {
        "stream": stream,
        "term": term,
        "kind": "Pod",
        "id": snapshot_id,
        "resource_version": rv,
        "observed_at": rv * SECOND,
        "consistent": True,
        "epoch": epoch,
    }
    uids = tuple(change.uid for change in changes)
    return [
        Snapshot(phase="begin", **common),
        *changes,
        Snapshot(phase="part", uids=uids, versions=tuple(change.resource_version for change in changes), **common),
        Snapshot(phase="end", count=len(uids), **common),
    ]


async def items(page) -> list[dict]:
    return [msgspec.json.decode(item) for item in (await page).items]


async def test_each_version_is_stored_once_however_often_it_arrives(scribe, versions):
    await scribe.claim("pods")
    await scribe.send(a_change(1), a_change(2))
    await scribe.send(a_change(2), a_change(1), a_change(3))

    assert await versions("u") == [(1, 1, "added"), (1, 2, "modified"), (1, 3, "modified")]


async def test_a_batch_that_is_sent_again_changes_nothing(scribe, versions):
    await scribe.send(a_change(1))
    again = await scribe.pipeline.submit(scribe.spool, 1, [a_change(9)])

    assert await again == 1
    assert await versions("u") == [(1, 1, "added")]


async def test_what_arrives_older_than_the_state_is_late_and_takes_its_place_in_history(scribe, journal, versions):
    await scribe.send(a_change(1), a_change(5))
    await scribe.send(a_change(3))

    assert await versions("u") == [(1, 1, "added"), (1, 3, "modified"), (1, 5, "modified")]
    late = (await items(journal.changes(RecordQuery(limit=1))))[0]
    assert late["late"]
    assert late["diff"] == [{"path": ["spec", "n"], "old": 1, "new": 3}]
    state = msgspec.json.decode(await journal.object("u"))
    assert state["resourceVersion"] == "5"


async def test_two_late_versions_of_one_batch_know_each_other(scribe, journal, versions):
    await scribe.send(a_change(1), a_change(9))
    await scribe.send(a_change(3), a_change(5), a_change(3))

    assert [rv for _, rv, _ in await versions("u")] == [1, 3, 5, 9]
    newest = (await items(journal.changes(RecordQuery(limit=1))))[0]
    assert newest["diff"] == [{"path": ["spec", "n"], "old": 3, "new": 5}]


async def test_a_delete_and_a_return_under_the_same_version_are_two_facts(scribe, versions):
    await scribe.send(a_change(1), a_change(2, gone=True))
    await scribe.send(a_change(2))

    assert await versions("u") == [(1, 1, "added"), (1, 2, "modified"), (1, 2, "deleted")]


async def test_a_whole_snapshot_deletes_what_is_absent_with_its_interval(scribe, journal, versions):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1, uid="u", listed=True), a_change(2, uid="v", listed=True)))
    await scribe.send(Progress(stream="pods", term=1, resource_version=12, observed_at=12 * SECOND))

    await scribe.send(*a_snapshot(20, a_change(1, uid="u", listed=True), snapshot_id="t"))

    assert await versions("v") == [(1, 2, "added"), (1, 2, "inferredDeleted")]
    assert await versions("u") == [(1, 1, "added")]
    deleted = (await items(journal.changes(RecordQuery(uid="v", limit=1))))[0]
    assert deleted["interval"] == {
        "after": "1970-01-01T00:00:12.000000000Z",
        "before": "1970-01-01T00:00:20.000000000Z",
    }
    alive = {item["uid"] for item in await items(journal.objects(ObjectQuery()))}
    assert alive == {"u"}


async def test_the_real_delete_supersedes_the_inferred_one(scribe, versions):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1, listed=True)))
    await scribe.send(*a_snapshot(20, snapshot_id="t"))
    await scribe.send(a_change(15, gone=True, spec={"n": 1}))

    assert await versions("u") == [(1, 1, "added"), (1, 1, "inferredDeleted"), (1, 15, "deleted")]


async def test_an_object_newer_than_the_list_is_not_judged_by_it(scribe, versions):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10))
    await scribe.send(a_change(30, uid="new"))

    await scribe.other("spool-b").claim("pods")
    await scribe.other("spool-b").send(*a_snapshot(30 - 5 + 10, term=2, snapshot_id="t"))
    alive = await versions("new")
    assert alive == [(1, 30, "added"), (1, 30, "inferredDeleted")]

    await scribe.send(a_change(50, uid="newer"))
    other = scribe.other("spool-c")
    await other.claim("pods")
    await other.send(*a_snapshot(40, term=3, snapshot_id="x"))

    assert await versions("newer") == [(1, 50, "added")]


async def test_the_absent_of_one_transaction_with_its_snapshot_are_judged_too(scribe, versions):
    await scribe.claim("pods")

    await scribe.send(a_change(5, uid="gone"), *a_snapshot(10, a_change(7, uid="here", listed=True)))

    assert await versions("gone") == [(1, 5, "added"), (1, 5, "inferredDeleted")]
    assert await versions("here") == [(1, 7, "added")]


async def test_versions_of_a_restored_store_are_another_epoch(scribe, journal, versions):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(100, a_change(90, listed=True), a_change(95, uid="young", listed=True)))
    await scribe.send(a_change(101))

    await scribe.send(*a_snapshot(50, a_change(40, listed=True, spec={"n": "restored"}), snapshot_id="t"), a_change(51))

    assert await versions("u") == [(1, 90, "added"), (1, 101, "modified"), (2, 40, "modified"), (2, 51, "modified")]
    assert await versions("young") == [(1, 95, "added"), (1, 95, "inferredDeleted")]
    state = msgspec.json.decode(await journal.object("u"))
    assert (state["epoch"], state["resourceVersion"]) == (2, "51")
    assert scribe.pipeline.ledger.epoch == 2


async def test_an_event_is_counted_by_what_is_new_since_its_stored_count(scribe, journal):
    def event(rv: int, count: int) -> Occurrence:
        return Occurrence(
            stream="events",
            term=1,
            uid="e",
            name="e",
            resource_version=rv,
            observed_at=SECOND,
            reason="BackOff",
            count=count,
        )

    await scribe.send(event(1, 1), event(2, 4))
    await scribe.send(event(2, 4), event(3, 4), event(9, 10))

    added = [item["added"] for item in await items(journal.occurrences(RecordQuery(ascending=True)))]
    assert added == [1, 3, 0, 6]
    total = sum(done.counters.get(("occurrences_total", ("", "BackOff", "")), 0) for done in scribe.committed)
    assert total == 10


@pytest.mark.parametrize("broken", [b"{", b"[1]", b"", b"\xff"])
async def test_an_object_that_is_no_json_is_a_gap_and_harms_nothing_beside_it(scribe, journal, versions, broken):
    bad = msgspec.structs.replace(a_change(2, uid="bad"), body=broken)

    await scribe.send(a_change(1), bad, a_change(3))

    assert await versions("u") == [(1, 1, "added"), (1, 3, "modified")]
    assert await versions("bad") == []
    (gap,) = await items(journal.gaps(RecordQuery()))
    assert (gap["cause"], gap["outcome"], gap["count"]) == ("malformed", "lost", 1)


async def test_a_gap_is_counted_once_and_ends_as_it_was_last_told(scribe, journal):
    await scribe.send(Gap(id="g", stream="pods", cause="watch_disconnected", start=SECOND))
    await scribe.send(
        Gap(id="g", stream="pods", cause="watch_disconnected", start=SECOND, to=3 * SECOND, outcome="recovered")
    )

    (gap,) = await items(journal.gaps(RecordQuery()))
    assert gap["outcome"] == "recovered"
    blind = [done.counters.get(("watch_blind_milliseconds", ("pods",)), 0) for done in scribe.committed]
    assert blind == [0, 2000]
    counted = sum(done.counters.get(("gaps_total", ("watch_disconnected",)), 0) for done in scribe.committed)
    assert counted == 1


async def test_every_sixteenth_version_can_be_read_without_the_ones_before(scribe, journal):
    for rv in range(1, 41):
        await scribe.send(a_change(rv))

    state = msgspec.json.decode(await journal.object("u"))
    assert state["body"]["spec"] == {"n": 40}


async def test_what_is_published_is_what_a_later_read_answers(scribe, journal):
    await scribe.send(a_change(1), a_change(2), a_change(3, gone=True))

    published = [item.json for done in scribe.committed for item in done.published if item.topic == "changes"]
    read = (await journal.changes(RecordQuery(ascending=True))).items
    assert [msgspec.json.decode(one) for one in published] == [msgspec.json.decode(one) for one in read]


async def test_a_commit_that_fails_leaves_nothing_and_the_batch_can_come_again(scribe, journal, versions, monkeypatch):
    commit = journal.commit

    async def fail(plan):
        raise StoreUnavailable("no space left")

    await scribe.send(a_change(1))
    monkeypatch.setattr(journal, "commit", fail)
    with pytest.raises(StoreUnavailable):
        await (await scribe.pipeline.submit(scribe.spool, 2, [a_change(2)]))
    failure = scribe.pipeline.failure
    monkeypatch.setattr(journal, "commit", commit)
    # A repeat, which writes nothing: it says nothing of the disk.
    await (await scribe.pipeline.submit(scribe.spool, 1, [a_change(1)]))
    failure_after_nothing = scribe.pipeline.failure
    await (await scribe.pipeline.submit(scribe.spool, 2, [a_change(2)]))

    assert failure == failure_after_nothing == "no space left"
    assert scribe.pipeline.failure is None
    assert await versions("u") == [(1, 1, "added"), (1, 2, "modified")]


async def test_batches_that_wait_together_are_one_transaction(scribe):
    futures = [await scribe.pipeline.submit(f"spool-{n}", 1, [a_change(1, uid=str(n))]) for n in range(50)]

    assert await asyncio.gather(*futures) == [1] * 50
    assert len(scribe.committed) <= 2


async def test_a_journal_that_is_opened_again_goes_on_where_it_was(tmp_path, reopen):
    url = str(tmp_path / "again.db")
    async with reopen(url) as scribe:
        await scribe.claim("pods")
        begin, change, part, _ = a_snapshot(10, a_change(1, listed=True))
        await scribe.send(begin, change, part, a_change(11, uid="other", stream="nodes"))
        last_seq = scribe.pipeline.ledger.last_seq

    async with reopen(url) as scribe:
        ledger = scribe.pipeline.ledger
        assert ledger.last_seq == last_seq
        assert ledger.spools == {"spool-a": 1}
        assert ledger.last_committed_at > 0
        scribe.n = 1
        await scribe.send(a_change(1), a_change(12, uid="other", stream="nodes"), a_snapshot(10, change)[-1])

        assert ledger.streams["pods"].resource_version == 10
        assert ledger.stages == {}
        assert ledger.last_seq == last_seq + 1


async def test_a_batch_behind_one_that_failed_is_not_taken_before_that_one_came_again(
    scribe, journal, versions, monkeypatch
):
    commit = journal.commit

    async def fail(plan):
        raise StoreUnavailable("no space left")

    await scribe.send(a_change(1))
    monkeypatch.setattr(journal, "commit", fail)
    with pytest.raises(StoreUnavailable):
        await (await scribe.pipeline.submit(scribe.spool, 2, [a_change(2)]))
    monkeypatch.setattr(journal, "commit", commit)
    with pytest.raises(StoreUnavailable, match="before it"):
        await (await scribe.pipeline.submit(scribe.spool, 3, [a_change(3)]))
    await (await scribe.pipeline.submit(scribe.spool, 2, [a_change(2)]))
    await (await scribe.pipeline.submit(scribe.spool, 3, [a_change(3)]))

    assert [version for _, version, _ in await versions("u")] == [1, 2, 3]


async def test_a_version_that_stood_highest_before_a_transaction_is_no_new_one_within_it(scribe, versions):
    await scribe.send(a_change(5))
    await scribe.send(a_change(6), a_change(5), a_change(6, gone=True), a_change(6))

    assert await versions("u") == [(1, 5, "added"), (1, 6, "modified"), (1, 6, "deleted")]


async def test_a_version_between_those_of_one_transaction_is_compared_with_the_one_below_it(scribe, journal, versions):
    await scribe.send(a_change(1), a_change(5, spec={"n": 5}))
    await scribe.send(a_change(10, spec={"n": 10}))
    await scribe.send(
        a_change(3, spec={"n": 3}), a_change(12, spec={"n": 12}), a_change(7, spec={"n": 7}), a_change(11)
    )

    found = {item["resourceVersion"]: item for item in await items(journal.history("u", RecordQuery(limit=100)))}
    assert [it[1:] for it in await versions("u")][:4] == [
        (1, "added"),
        (3, "modified"),
        (5, "modified"),
        (7, "modified"),
    ]
    assert found["7"]["diff"] == [{"path": ["spec", "n"], "old": 5, "new": 7}]
    assert found["11"]["diff"] == [{"path": ["spec", "n"], "old": 10, "new": 11}]
    assert found["11"]["late"]


async def test_an_inferred_delete_lies_in_its_interval_when_a_clock_went_back(scribe, journal):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1, at=5_000)), a_change(11, uid="v", at=6_000))
    empty = [msgspec.structs.replace(it, observed_at=100 * SECOND) for it in a_snapshot(20, snapshot_id="t")]
    await scribe.send(*empty)

    deletes = [it for it in await items(journal.changes(RecordQuery(limit=100))) if it["verb"] == "inferredDeleted"]
    assert len(deletes) == 2
    assert all(it["interval"]["after"] <= it["interval"]["before"] for it in deletes)


async def test_a_batch_that_no_journal_can_take_harms_no_other_agent(scribe, versions):
    poison = scribe.other("spool-b")
    await scribe.send(a_change(1))
    waiting = [
        await poison.pipeline.submit("spool-b", 1, [Gap(id="g", stream="pods", cause="x", start=2**90)]),
        await scribe.pipeline.submit(scribe.spool, 2, [a_change(2)]),
    ]
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], StoreUnavailable)
    assert results[1] == 2
    assert await versions("u") == [(1, 1, "added"), (1, 2, "modified")]


def an_open_gap(gap_id="g", stream="pods") -> Gap:
    return Gap(id=gap_id, stream=stream, cause="watch_disconnected", start=12 * SECOND)


async def outcomes(journal) -> dict[str, str]:
    return {item["id"]: item["outcome"] for item in await items(journal.gaps(RecordQuery(limit=100)))}


async def test_a_gap_that_its_agent_forgot_is_recovered_by_the_stream_going_on(scribe, journal):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1)), an_open_gap(), an_open_gap("n", "nodes"))
    reborn = scribe.other("spool-b")  # a new folder after the old one was wiped
    await reborn.claim("pods")
    await reborn.send(Progress(stream="pods", term=2, resource_version=11, observed_at=20 * SECOND))

    assert await outcomes(journal) == {"g": "recovered", "n": "open"}


async def test_a_gap_that_its_agent_forgot_is_lost_when_the_stream_had_to_list_again(scribe, journal):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1)), an_open_gap())
    await scribe.send(*a_snapshot(20, a_change(15, listed=True), snapshot_id="t"))

    assert await outcomes(journal) == {"g": "lost"}


async def test_a_gap_stays_open_while_only_others_speak_of_its_stream(scribe, journal):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1)), an_open_gap())
    await scribe.other("spool-b").send(a_change(11))

    assert await outcomes(journal) == {"g": "open"}


async def test_what_the_agent_itself_says_of_the_end_of_its_gap_is_not_said_before_it(scribe, journal):
    await scribe.claim("pods")
    await scribe.send(*a_snapshot(10, a_change(1)), an_open_gap())
    closed = msgspec.structs.replace(an_open_gap(), to=30 * SECOND, outcome="recovered", detail="by itself")
    await scribe.send(a_change(11), closed)

    rows = (await journal.replay("gaps", RecordQuery(limit=100))).rows
    assert [msgspec.json.decode(row)["outcome"] for _, row in rows] == ["open", "recovered"]
