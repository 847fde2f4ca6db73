"""What was acknowledged is there and whole, whatever happens to the process or the disk."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from aggregator.errors import StoreUnavailable
from aggregator.records import RecordQuery
from aggregator.store.sqlite.journal import SqliteJournal
from tests.aggregator.store.story import Story

ALL = RecordQuery(limit=100_000, ascending=True)

COMMIT_FOR_EVER = """
import asyncio, sys
from aggregator.store.sqlite.journal import SqliteJournal
from tests.aggregator.store.story import Story
async def main():
    journal = SqliteJournal(__import__("pathlib").Path(sys.argv[1]))
    state = await journal.open()
    story = Story(state)
    for round in range(10**9):
        for number in range(7):
            story.pod(f"web-{number}", round + 1, uid=f"{state.last_seq}-{number}")
        plan = story.take()
        plan.spools["s"] = plan.changes[-1].seq
        await journal.commit(plan)
        print(plan.changes[-1].seq, flush=True)
asyncio.run(main())
"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}


async def test_a_process_killed_again_and_again_keeps_all_that_it_acknowledged_and_nothing_half(tmp_path):
    path = tmp_path / "journal.db"
    acknowledged = 0
    for lines in (3, 20, 11):
        child = subprocess.Popen(  # noqa: ASYNC220 - the test is all that runs here
            [sys.executable, "-c", COMMIT_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True, env=environment()
        )
        for _ in range(lines):
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate(timeout=30)
        complete = rest[: rest.rfind("\n") + 1].split()
        acknowledged = int(complete[-1]) if complete else acknowledged

        journal = SqliteJournal(path)
        state = await journal.open()
        page = await journal.changes(ALL)
        seqs = [json.loads(item)["seq"] for item in page.items]
        bodies = await journal.bodies(seqs)
        await journal.close()

        assert state.last_seq >= acknowledged
        assert seqs == list(range(1, state.last_seq + 1))
        assert state.spools == {"s": state.last_seq}
        assert len(bodies) == len(seqs)
        assert state.last_seq % 7 == 0


async def test_a_full_disk_is_told_reads_go_on_and_it_recovers_by_itself(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    story.pod("web-1", 1)
    await journal.commit(story.take())
    story.pod("web-1", 2)
    plan = story.take()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal_bytes = (tmp_path / "journal.db-wal").stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal_bytes, hard))
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="cannot be written"):
                await journal.commit(plan)
        assert len((await journal.changes(ALL)).items) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    await journal.commit(plan)
    assert len((await journal.changes(ALL)).items) == 2
    await journal.close()


async def test_a_locked_file_is_unavailable_and_serves_again(tmp_path, monkeypatch):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    await journal._connection.execute("PRAGMA busy_timeout = 10")
    story = Story()
    story.pod("web-1", 1)
    plan = story.take()

    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await journal.commit(plan)
        other.execute("ROLLBACK")

    await journal.commit(plan)
    assert (await journal.facts())["changes"] == 1
    await journal.close()


async def test_a_cancelled_commit_is_whole_or_not_there_and_the_next_one_works(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    story = Story()
    for round_ in range(12):
        for number in range(30):
            story.pod(f"web-{number}", round_ + 1, namespace=f"ns-{round_}", uid=f"{round_}-{number}")
        plan = story.take()
        task = asyncio.create_task(journal.commit(plan))
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        count = (await journal.facts())["changes"]
        assert count in {30 * round_, 30 * (round_ + 1)}
        if count == 30 * round_:
            await journal.commit(plan)

    assert len((await journal.changes(ALL)).items) == 360
    await journal.close()


async def test_the_wal_is_copied_in_an_idle_moment_and_the_next_commit_is_taken(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db", idle_seconds=0.01)
    await journal.open()
    story = Story()
    size = (tmp_path / "journal.db").stat().st_size
    for rv in range(1, 400):
        story.pod("web-1", rv)
    await journal.commit(story.take())

    async with asyncio.timeout(10):
        while (tmp_path / "journal.db").stat().st_size == size:
            await asyncio.sleep(0.005)
    await asyncio.wait([journal._copying])
    story.pod("web-1", 500)
    await journal.commit(story.take())
    await journal.close()

    assert not (tmp_path / "journal.db-wal").exists()
