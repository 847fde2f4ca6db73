"""Reads use the indexes, end in time, and never answer half a page as the last one."""

import json
from contextlib import closing

import pytest
import pytest_asyncio

from aggregator.errors import StoreUnavailable
from aggregator.records import ObjectQuery, RecordQuery, Version
from aggregator.store.sqlite import facts, lookups, objects, pool, records, searching
from aggregator.store.sqlite.journal import SqliteJournal
from aggregator.store.sqlite.pool import ReaderPool, Reading
from aggregator.store.sqlite.rebuilding import rebuild
from tests.aggregator.store.story import Story


@pytest_asyncio.fixture
async def journal(tmp_path):
    store = SqliteJournal(tmp_path / "journal.db")
    await store.open()
    story = Story()
    for rv in range(1, 60):
        story.pod(f"web-{rv % 7}", rv)
        story.event(f"e{rv}", rv)
    story.gap("g", 1, None)
    await store.commit(story.take())
    yield store
    await store.close()


def plans_of(reading: Reading, read) -> list[str]:
    said: list[str] = []
    reading.connection.set_trace_callback(said.append)
    reading.run(read)
    reading.connection.set_trace_callback(None)
    steps: list[str] = []
    for sql in said:
        if sql.startswith(("SELECT", "WITH")):
            steps += [row[3] for row in reading.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    return steps


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("uid", lambda it: list(records.changes(it, RecordQuery(uid="00000000-0000-4000-8000-000000000001")))),
        ("name", lambda it: list(records.changes(it, RecordQuery(name="web-1")))),
        ("after", lambda it: list(records.changes(it, RecordQuery(after=20, ascending=True)))),
        ("time", lambda it: list(records.changes(it, RecordQuery(start=20, to=100)))),
        ("events", lambda it: list(records.occurrences(it, RecordQuery(name="web-1", reason="Killing")))),
        ("history", lambda it: objects.history(it, "00000000-0000-4000-8000-000000064965", RecordQuery())),
        ("object", lambda it: objects.one_object(it, "00000000-0000-4000-8000-000000064965", 5)),
        ("objects", lambda it: objects.objects(it, ObjectQuery(namespace="shop", at=100, include_body=True))),
        ("bodies", lambda it: rebuild(it, [30, 31])),
        ("below", lambda it: lookups.below(it, 1, Version(1, 30, False))),
        ("living", lambda it: lookups.living(it, "Pod", "n1", but=frozenset(), after=0, limit=10)),
        ("counts", lambda it: lookups.occurrence_counts(it, ["x"])),
        ("seq_at", lambda it: facts.seq_at(it, 10**17)),
    ],
)
async def test_no_read_walks_a_whole_table(journal, name, read):
    with closing(Reading(journal._path, journal._prepared.dictionaries, lambda: 0.0)) as reading:
        steps = plans_of(reading, read)

    walks = [step for step in steps if step.startswith("SCAN") and "json_each" not in step and "CONSTANT" not in step]
    assert steps
    assert [step for step in walks if not step.startswith(("SCAN (subquery", "SCAN spans"))] == []


async def test_a_read_that_takes_too_long_is_interrupted_with_a_clear_error(journal):
    ticks = iter(range(10**9))
    readers = ReaderPool(journal._path, {}, threads=1, name="slow", clock=lambda: next(ticks) * 0.1)
    endless = "WITH RECURSIVE n (s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM n) SELECT max(s) FROM n"

    with pytest.raises(StoreUnavailable, match="took longer than 1 s"):
        await readers.read(lambda reading: reading.connection.execute(endless).fetchone())

    assert await readers.read(lambda reading: reading.connection.execute("SELECT 1").fetchone()) == (1,)
    await readers.close()


async def test_a_walk_without_patience_gives_short_pages_that_still_meet(journal, monkeypatch):
    monkeypatch.setattr(pool, "PATIENT_SECONDS", -1.0)
    monkeypatch.setattr(records, "_ROWS_BETWEEN_SIGNS", 1)
    monkeypatch.setattr(searching, "_BLOCK", 5)

    async def walk(query: RecordQuery) -> list[int]:
        found: list[int] = []
        pages = 0
        after = query.after
        while True:
            page = await journal.changes(
                RecordQuery(after=after, q=query.q, kind=query.kind, ascending=query.ascending, limit=1000)
            )
            pages += 1
            found += [json.loads(item)["seq"] for item in page.items]
            after = page.last
            if after is None:
                assert pages > 3
                return found

    expected = list(range(1, 118, 2))
    assert await walk(RecordQuery(ascending=True)) == expected
    assert await walk(RecordQuery()) == expected[::-1]
    assert await walk(RecordQuery(q="web-3")) == [seq for seq in expected[::-1] if (seq + 1) // 2 % 7 == 3]
    replayed, place = [], 0
    while place is not None:
        stretch = await journal.replay("changes", RecordQuery(after=place, q="web-3", limit=1000))
        replayed += [seq for seq, _ in stretch.rows]
        place = stretch.last
    assert replayed == [seq for seq in expected if (seq + 1) // 2 % 7 == 3]


async def test_a_history_without_patience_is_told_version_by_version(journal, monkeypatch):
    newest = await journal.changes(RecordQuery(name="web-3", limit=1))
    uid = json.loads(newest.items[0])["uid"]
    whole = await journal.history(uid, RecordQuery(limit=1000))
    monkeypatch.setattr(pool, "PATIENT_SECONDS", -1.0)

    told, place = [], 0
    while place is not None:
        page = await journal.history(uid, RecordQuery(after=place, limit=1000))
        assert len(page.items) == 1
        told += page.items
        place = page.last

    assert len(told) > 3
    assert told == whole.items


async def test_readers_cannot_write(journal):
    with pytest.raises(StoreUnavailable, match="readonly"):
        await journal._readers.read(lambda reading: reading.connection.execute("DELETE FROM changes"))


async def test_too_many_waiting_reads_are_refused(journal, monkeypatch):
    monkeypatch.setattr(pool, "_MAX_WAITING", 0)

    with pytest.raises(StoreUnavailable, match="waiting"):
        await journal.facts()
