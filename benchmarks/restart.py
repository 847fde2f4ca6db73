"""
How long a journal of 10 million changes takes from `open` to ready, beside the limit of the budget.

The file is built once, in SQL alone, and kept under .bench/: 150,000 objects, every tenth of them gone, the histories
interleaved as a cluster would. Each round opens it, asks for the newest changes, one object and one history, which is
what "ready" is worth, and closes it; the slowest round counts.
"""

import asyncio
import json
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from aggregator.records import ObjectQuery, RecordQuery
from aggregator.store.bodies import SHIPPED, Packer, shipped_dictionary
from aggregator.store.sqlite.journal import SqliteJournal
from benchmarks.pod_lives import another_life

CHANGES = 10_000_000
OBJECTS = 150_000
ROUNDS = 3
LIMIT_SECONDS = 3.0
_FILE = Path(__file__).parents[1] / ".bench" / f"restart-{CHANGES}.db"
_START = 1_790_000_000_000_000_000


def run() -> list[dict[str, Any]]:
    """Run the bench, print its line, and return it."""
    if not _FILE.exists():
        build(_FILE)
    value = max(asyncio.run(_ready_seconds(_FILE)) for _ in range(ROUNDS))
    line = {
        "name": "restart",
        "value": round(value, 3),
        "unit": "s",
        "baseline": LIMIT_SECONDS,
        "ratio": round(value / LIMIT_SECONDS, 3),
    }
    print(json.dumps(line), flush=True)
    return [line]


async def _ready_seconds(path: Path) -> float:
    journal = SqliteJournal(path)
    started = time.perf_counter()
    state = await journal.open()
    page = await journal.changes(RecordQuery(limit=100))
    newest = json.loads(page.items[0])
    uid = newest["uid"]
    is_whole = (
        state.last_seq == CHANGES
        and newest["seq"] == CHANGES
        and len((await journal.objects(ObjectQuery(limit=100))).items) == 100
        and await journal.object(uid) is not None
        and await journal.history(uid, RecordQuery(limit=100)) is not None
    )
    seconds = time.perf_counter() - started
    await journal.close()
    if not is_whole:
        raise RuntimeError(f"{path} does not hold what the bench built; delete it")
    return seconds


def build(path: Path) -> None:
    """Make the journal; under another name until it is whole."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".building")
    unfinished.unlink(missing_ok=True)
    asyncio.run(_create(unfinished))
    packer = Packer(SHIPPED[-1], shipped_dictionary(SHIPPED[-1]))
    _, _, life = another_life(random.Random(1))
    patch = packer.pack(b'{"manager":"kubelet"}\n[{"path":["status","phase"],"old":"Pending","new":"Running"}]')
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        (history,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'changes_history'").fetchone()
        connection.execute("DROP INDEX changes_history")
        connection.execute("BEGIN")
        for sql in _STATEMENTS:
            parameters = {"changes": CHANGES, "objects": OBJECTS, "start": _START}
            connection.execute(sql, parameters | {"patch": patch, "body": packer.pack(life[-1])})
        connection.execute("COMMIT")
        connection.execute("PRAGMA cache_size = -1000000")
        connection.execute(history)
    unfinished.rename(path)


async def _create(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    await journal.close()


# Change s is version s of object s % :objects + 1; the first :objects changes and every 16th of an object are whole.
_NUMBERS = "WITH RECURSIVE n (s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM n WHERE s < {last})"
_STATEMENTS = (
    "INSERT INTO words VALUES (1, ''), (2, 'Pod'), (3, 'shop'), (4, 'node-1')",
    "INSERT INTO meta VALUES ('cluster', 'bench'), ('cluster_uid', 'c1')",
    _NUMBERS.format(last=":objects")
    + """ INSERT INTO objects SELECT s, 2, 3, printf('web-%06d', s), randomblob(16), :start + s * 1000000 FROM n""",
    _NUMBERS.format(last=":changes")
    + """ INSERT INTO changes SELECT s, s % :objects + 1, 1, s, s > :changes - :objects AND s % 10 = 0,
        CASE WHEN s <= :objects THEN 1 WHEN s > :changes - :objects AND s % 10 = 0 THEN 3 ELSE 2 END, 0, 0, 1,
        :start + s * 1000000 - 20000000, 20000000, CASE WHEN s > :objects THEN :objects END, NULL,
        CASE WHEN s > :objects THEN :patch END FROM n""",
    "INSERT INTO bodies SELECT seq, :body FROM changes WHERE (seq - 1) / :objects % 16 = 0",
    """INSERT INTO heads SELECT object, 2, 4, seq, 1, resource_version, gone, 0, observed_at FROM changes
        WHERE seq > :changes - :objects""",
    """INSERT INTO spans SELECT seq / 4096, min(observed_at), max(observed_at), min(observed_at + lag),
        max(observed_at + lag) FROM changes GROUP BY seq / 4096""",
    "UPDATE totals SET last_seq = :changes, last_object = :objects, changes = :changes",
)


if __name__ == "__main__":
    run()
