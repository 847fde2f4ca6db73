"""What retention deletes, ingest forgets as well: it never builds on an object that the journal holds no more."""

import asyncio

import msgspec

from aggregator.ingest.pipeline import Pipeline
from aggregator.records import RecordQuery
from kubescribe.wire.records import Change


def a_change(rv: int, *, gone: bool = False, uid: str = "u") -> Change:
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        namespace="shop",
        name=uid,
        uid=uid,
        resource_version=rv,
        observed_at=rv,
        gone=gone,
        body=msgspec.json.encode({"kind": "Pod", "metadata": {"name": uid}, "spec": {"n": rv}}),
    )


async def prune(journal, pipeline: Pipeline) -> None:
    more = True
    while more:
        more = (await journal.prune(before=2**62, max_bytes=0, step=9, forgetting=pipeline.forgetting)).more


async def history(journal, uid: str) -> list[tuple[str, str]]:
    page = await journal.history(uid, RecordQuery(ascending=True))
    items = [msgspec.json.decode(item) for item in page.items]
    return [(item["resourceVersion"], item["verb"]) for item in items]


async def test_a_dead_object_that_was_pruned_comes_back_as_a_new_one(scribe, journal):
    await scribe.send(a_change(1), a_change(2), a_change(3, gone=True))
    await prune(journal, scribe.pipeline)
    assert await journal.history("u", RecordQuery()) is None

    await scribe.send(a_change(4), a_change(5))

    assert await history(journal, "u") == [("4", "added"), ("5", "modified")]
    assert list((await journal.bodies([5])).values()) == [a_change(5).body]
    assert (await journal.facts())["lastSeq"] == 5


async def test_a_living_object_whose_history_was_pruned_goes_on_from_its_head(scribe, journal):
    await scribe.send(*[a_change(rv) for rv in range(1, 41)])
    await prune(journal, scribe.pipeline)
    before = await history(journal, "u")
    assert len(before) < 17

    await scribe.send(a_change(41), a_change(41, gone=True))

    assert await history(journal, "u") == [*before, ("41", "modified"), ("41", "deleted")]
    page = await journal.changes(RecordQuery(limit=2, ascending=False))
    assert msgspec.json.decode(page.items[1])["diff"] == [{"path": ["spec", "n"], "old": 40, "new": 41}]


async def test_a_version_below_what_was_pruned_is_late_and_readable_by_itself(scribe, journal):
    await scribe.send(*[a_change(rv) for rv in range(10, 60)])
    await prune(journal, scribe.pipeline)

    await scribe.send(a_change(5))

    assert (await history(journal, "u"))[0] == ("5", "added")
    assert list((await journal.bodies([51])).values()) == [a_change(5).body]


async def test_nothing_is_decided_while_the_journal_forgets(scribe, journal):
    await scribe.send(a_change(1))
    async with scribe.pipeline.forgetting([]):
        sending = asyncio.create_task(scribe.send(a_change(2)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not sending.done()
        assert (await journal.facts())["lastSeq"] == 1
    await sending

    assert (await journal.facts())["lastSeq"] == 2
