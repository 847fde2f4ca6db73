"""Retention searches by the indexes, survives kill -9, gives its pages to what comes, and keeps no commit waiting."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path

import pytest

from aggregator.records import RecordQuery
from aggregator.store.sqlite import pruning
from aggregator.store.sqlite.journal import SqliteJournal
from aggregator.store.sqlite.pool import Reading
from tests.aggregator.store.story import Story, uid_of

ALL = RecordQuery(limit=100_000, ascending=True)

PRUNE_FOR_EVER = """
import asyncio, contextlib, sys
from aggregator.store.sqlite.journal import SqliteJournal
from tests.aggregator.store.story import Story
async def main():
    journal = SqliteJournal(__import__("pathlib").Path(sys.argv[1]))
    state = await journal.open()
    story = Story(state)
    story.committed_at = state.last_committed_at + 1
    for round in range(1, 10**9):
        for number in range(7):
            story.pod(f"web-{number}", round, uid=f"{state.last_seq}-{number}", gone=number == 5 and round % 9 == 3)
        story.event(f"e{state.last_seq}-{round}", state.last_seq + round)
        await journal.commit(story.take())
        await journal.prune(
            before=story.committed_at - 20_000, max_bytes=0, step=11, forgetting=lambda _: contextlib.nullcontext()
        )
        print(round, flush=True)
asyncio.run(main())
"""


async def prune(journal: SqliteJournal, before: int, *, max_bytes: int = 0, step: int = 100) -> int:
    records = 0
    while True:
        done = await journal.prune(before=before, max_bytes=max_bytes, step=step, forgetting=lambda _: nullcontext())
        records += done.records
        if not done.more:
            return records


async def test_a_process_killed_while_it_prunes_leaves_a_good_journal(tmp_path):
    path = tmp_path / "journal.db"
    for lines in (40, 77, 60):
        child = subprocess.Popen(  # noqa: ASYNC220 - the test is all that runs here
            [sys.executable, "-c", PRUNE_FOR_EVER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
        )
        for _ in range(lines):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=30)

        journal = SqliteJournal(path)
        state = await journal.open()
        kept = [json.loads(item)["seq"] for item in (await journal.changes(ALL)).items]
        facts, bodies, living = await journal.facts(), await journal.bodies(kept), await journal.living("Pod", None)
        await journal.close()

        assert (facts["lastSeq"], facts["changes"], len(bodies)) == (state.last_seq, len(kept), len(kept))
        assert 0 < facts["horizonSeq"] < state.last_seq
        assert {head.seq for head in living} <= set(kept)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            orphans = "SELECT count(*) FROM {} WHERE {} NOT IN (SELECT {} FROM {})"
            for names in (
                ("bodies", "seq", "seq", "changes"),
                ("changes", "object", "object", "heads"),
                ("objects", "id", "object", "heads"),
                ("heads", "object", "id", "objects"),
                ("occurrences", "subject", "id", "subjects"),
                ("subjects", "id", "subject", "occurrences"),
            ):
                assert connection.execute(orphans.format(*names)).fetchone() == (0,)


async def test_no_statement_of_retention_walks_a_whole_table(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    for rv in range(1, 200):
        story.pod(f"web-{rv % 7}", rv)
        story.event(f"e{rv}", rv)
    story.pod("web-3", 500, gone=True)
    story.pod("web-4", 300, at=1)
    story.pod("web-4", 250, at=1)
    story.gap("g", 1, 2, "lost")
    story.presence("a", "went")
    await journal.commit(story.take())
    said: list[str] = []

    with closing(Reading(tmp_path / "journal.db", journal._prepared.dictionaries, lambda: 0.0)) as reading:
        reading.connection.set_trace_callback(said.append)
        doomed = reading.run(lambda it: pruning.find(it, before=2**62, max_bytes=0, step=10_000))
        reading.connection.set_trace_callback(None)
        assert min(map(len, (doomed.changes, doomed.occurrences, doomed.gaps, doomed.presences, doomed.dead))) > 0
        statements = {sql for sql in said if sql.startswith(("SELECT", "WITH"))}
        plans = [reading.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in statements]
        for sql, rows in pruning.steps_of(doomed):
            row = next(iter(rows))
            plans.append(reading.connection.execute(f"EXPLAIN QUERY PLAN {sql}", row).fetchall())
    await journal.close()

    steps = {step[3] for plan in plans for step in plan}
    known = ("SCAN json_each", "SCAN CONSTANT", "SCAN (subquery", "SCAN chain", "SCAN totals")
    assert {it for it in steps if it.startswith("SCAN") and not it.startswith(known)} == set()
    assert any("changes_history" in it for it in steps)


async def test_pages_that_become_free_are_used_by_what_comes(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    pages: list[int] = []
    for round_ in range(60):
        for number in range(20):
            body = json.dumps({"spec": os.urandom(1000).hex()}).encode()
            story.pod(f"web-{number}", round_ + 1, uid=uid_of(number), body=body)
        await journal.commit(story.take())
        await prune(journal, story.committed_at - 10_000)
        with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
            pages.append(connection.execute("PRAGMA page_count").fetchone()[0])
    await journal.close()

    assert pages[-1] < 1.2 * pages[29]


async def test_by_bytes_the_pages_in_use_are_below_the_limit(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    for number in range(1500):
        body = json.dumps({"spec": os.urandom(1000).hex()}).encode()
        story.pod(f"web-{number % 20}", number + 1, uid=uid_of(number % 20), body=body)
    await journal.commit(story.take())
    before = await journal._read(pruning.used_bytes)

    await prune(journal, 0, max_bytes=before // 2, step=10)

    after = await journal._read(pruning.used_bytes)
    assert before // 3 < after <= before // 2
    assert await prune(journal, 0, max_bytes=before // 2) == 0
    await journal.close()


async def test_an_object_that_came_back_after_it_was_found_dead_stays(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    story.pod("web-1", 1)
    story.pod("web-1", 2, gone=True)
    await journal.commit(story.take())

    @asynccontextmanager
    async def forgetting(_keys):
        story.pod("web-1", 3, epoch=2)
        await journal.commit(story.take())
        yield

    await journal.prune(before=2**62, max_bytes=0, step=10, forgetting=forgetting)

    kept = [json.loads(item)["seq"] for item in (await journal.changes(ALL)).items]
    assert kept == [1, 2, 3]
    assert len(await journal.bodies(kept)) == (await journal.facts())["changes"] == 3
    await journal.close()


async def test_one_object_that_left_very_much_goes_in_steps(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    story.pod("web-1", 10_000)
    for rv in range(1, 400):
        story.pod("web-1", rv)
    for rv in range(10_001, 10_010):
        story.pod("web-1", rv)
    await journal.commit(story.take())
    steps: list[int] = []
    more = True
    while more:
        done = await journal.prune(before=2**62, max_bytes=0, step=20, forgetting=lambda _: nullcontext())
        steps.append(done.records)
        more = done.more
    kept = [json.loads(item)["seq"] for item in (await journal.changes(ALL)).items]
    await journal.close()

    assert max(steps) <= 4 * 20 + 16
    assert kept == [408, 409]


@pytest.mark.parametrize("max_bytes", [0, 1])
async def test_a_commit_hardly_waits_for_retention(tmp_path, max_bytes):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    for round_ in range(40):
        for number in range(100):
            story.pod(f"web-{number}", round_ + 1, uid=uid_of(number))
        await journal.commit(story.take())
    held: list[float] = []
    waited: list[float] = []
    is_done = False

    async def retain() -> None:
        more = True
        while more:
            done = await journal.prune(before=2**62, max_bytes=max_bytes, step=250, forgetting=lambda _: nullcontext())
            held.append(done.seconds)
            more = done.more and not is_done

    task = asyncio.create_task(retain())
    while not task.done() and len(waited) < 200:
        story.pod("busy", len(waited) + 1)
        plan = story.take()
        began = time.monotonic()
        await journal.commit(plan)
        waited.append(time.monotonic() - began)
    is_done = True
    await task
    await journal.close()

    assert len(held) > 5
    # Medians: a loaded machine has bad moments, and only the usual one is ours.
    assert sorted(held)[len(held) // 2] < 0.05
    assert sorted(waited)[len(waited) // 2] < 0.1
