"""
How many records a second the SQLite store commits with FULL sync, beside plain `sqlite3` with the same rows.

The store is given ready plans; it packs, encodes, numbers words and awaits. The baseline is given finished tuples and
does `executemany` in the same tables, with the same indexes, pragmas and transaction sizes, in one thread. Both
write the same journal from the start, in turns; the best round of each counts, since the disk is shared.
"""

import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from aggregator.records import Plan
from aggregator.store.bodies import SHIPPED, Packer, shipped_dictionary
from aggregator.store.sqlite import statements as sql
from aggregator.store.sqlite.columns import change_rows
from aggregator.store.sqlite.journal import WRITER_PRAGMAS, SqliteJournal
from benchmarks.pod_lives import plans

CHANGES = 40_000
PER_PLAN = 1000
ROUNDS = 5

Statements = list[tuple[str, list[tuple[Any, ...]]]]


def run() -> list[dict[str, Any]]:
    """Run the bench, print its line, and return it."""
    ready = list(plans(random.Random(1), CHANGES, PER_PLAN))
    finished = _statements(ready)
    with tempfile.TemporaryDirectory(prefix="journal-", dir=_disk()) as folder:
        ours, plain = [], []
        for number in range(ROUNDS):
            ours.append(asyncio.run(_store_seconds(Path(folder) / f"store-{number}.db", ready)))
            plain.append(_plain_seconds(Path(folder) / f"plain-{number}.db", finished))
    value, baseline = CHANGES / min(ours), CHANGES / min(plain)
    line = {
        "name": "journal",
        "value": round(value),
        "unit": "records/s",
        "baseline": round(baseline),
        "ratio": round(value / baseline, 2),
    }
    print(json.dumps(line), flush=True)
    return [line]


def _disk() -> Path:
    """Return a folder on the disk of the tree; /tmp may be memory, where a sync costs nothing."""
    folder = Path(__file__).parents[1] / ".bench"
    folder.mkdir(exist_ok=True)
    return folder


async def _store_seconds(path: Path, ready: Sequence[Plan]) -> float:
    journal = SqliteJournal(path)
    await journal.open()
    started = time.perf_counter()
    for plan in ready:
        await journal.commit(plan)
    seconds = time.perf_counter() - started
    await journal.close()
    return seconds


def _plain_seconds(path: Path, ready: Sequence[Statements]) -> float:
    asyncio.run(_create(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in WRITER_PRAGMAS:
            connection.execute(pragma)
        started = time.perf_counter()
        for statements in ready:
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                connection.executemany(statement, rows)
            connection.execute("COMMIT")
        return time.perf_counter() - started


async def _create(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    await journal.close()


def _statements(ready: Sequence[Plan]) -> list[Statements]:
    """Return what the store executes for each plan, as finished tuples."""
    packer = Packer(SHIPPED[-1], shipped_dictionary(SHIPPED[-1]))
    made: list[Statements] = []
    words: dict[str, int] = {}
    for plan in ready:
        statements: Statements = []
        new = sql.words_of(plan) - words.keys()
        words |= {word: len(words) + place for place, word in enumerate(sorted(new), 1)}
        statements.append((sql.WORD, [(words[word], word) for word in sorted(new)]))
        statements.append((sql.OBJECT, sql.object_rows(plan, words)))
        statements.append((sql.CHANGE, list(change_rows(plan.changes, packer))))
        statements.append(
            (sql.BODY, [(row.seq, packer.pack(row.body)) for row in plan.changes if row.body is not None])
        )
        statements.append((sql.HEAD, [sql.head_row(head, words) for head in plan.heads.values()]))
        statements.append((sql.SPAN, sql.span_rows(plan)))
        totals = (max(row.seq for row in plan.changes), max(plan.heads), len(plan.changes))
        statements.append((sql.TOTALS, [totals]))
        made.append(statements)
    return made


if __name__ == "__main__":
    run()
