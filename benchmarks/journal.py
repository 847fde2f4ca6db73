"""
How many records a second the SQLite store commits with FULL sync, beside plain `sqlite3` with the same rows.

The store is given ready plans; it packs, encodes, numbers words and awaits. The baseline is given finished tuples and
does `executemany` in the same tables, with the same indexes, pragmas and transaction sizes. Plan by plan both write
their own journal, now one first, now the other, so that what else the machine does hits both; the making of plans and
tuples is not measured.
"""

import asyncio
import json
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from aggregator.records import Plan
from aggregator.store.bodies import SHIPPED, Packer, shipped_dictionary
from aggregator.store.sqlite import statements as sql
from aggregator.store.sqlite.columns import change_rows
from aggregator.store.sqlite.journal import WRITER_PRAGMAS, SqliteJournal
from benchmarks.pod_lives import plans

CHANGES = 80_000
PER_PLAN = 1000

Statements = list[tuple[str, list[tuple[Any, ...]]]]


def run() -> list[dict[str, Any]]:
    """Run the bench, print its line, and return it."""
    with tempfile.TemporaryDirectory(prefix="journal-", dir=_disk()) as folder:
        ours, plain = asyncio.run(_seconds(Path(folder)))
    value, baseline = CHANGES / ours, CHANGES / plain
    line = {
        "name": "journal",
        "value": round(value),
        "unit": "records/s",
        "baseline": round(baseline),
        "ratio": round(value / baseline, 2),
    }
    print(json.dumps(line), flush=True)
    return [line]


async def _seconds(folder: Path) -> tuple[float, float]:
    """Return the seconds that the store took, and those of plain sqlite3."""
    await _create(folder / "plain.db")
    journal = SqliteJournal(folder / "store.db")
    await journal.open()
    packer = Packer(SHIPPED[-1], shipped_dictionary(SHIPPED[-1]))
    words: dict[str, int] = {}
    ours = plain = 0.0
    with closing(sqlite3.connect(folder / "plain.db", isolation_level=None)) as connection:
        for pragma in WRITER_PRAGMAS:
            connection.execute(pragma)
        for number, plan in enumerate(plans(random.Random(1), CHANGES, PER_PLAN)):
            statements = _statements(plan, words, packer)
            if number % 2:
                plain += _execute(connection, statements)
            started = time.perf_counter()
            await journal.commit(plan)
            ours += time.perf_counter() - started
            if not number % 2:
                plain += _execute(connection, statements)
    await journal.close()
    return ours, plain


def _execute(connection: sqlite3.Connection, statements: Statements) -> float:
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for statement, rows in statements:
        connection.executemany(statement, rows)
    connection.execute("COMMIT")
    return time.perf_counter() - started


def _disk() -> Path:
    """Return a folder on the disk of the tree; /tmp may be memory, where a sync costs nothing."""
    folder = Path(__file__).parents[1] / ".bench"
    folder.mkdir(exist_ok=True)
    return folder


async def _create(path: Path) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    await journal.close()


def _statements(plan: Plan, words: dict[str, int], packer: Packer) -> Statements:
    """Return what the store executes for *plan*, as finished tuples; *words* grows as the store's do."""
    new = sorted(sql.words_of(plan) - words.keys())
    words.update({word: len(words) + place for place, word in enumerate(new, 1)})
    totals = (max(row.seq for row in plan.changes), max(plan.heads), len(plan.changes))
    return [
        (sql.WORD, [(words[word], word) for word in new]),
        (sql.OBJECT, sql.object_rows(plan, words)),
        (sql.CHANGE, list(change_rows(plan.changes, packer))),
        (sql.BODY, [(row.seq, packer.pack(row.body)) for row in plan.changes if row.body is not None]),
        (sql.HEAD, [sql.head_row(head, words) for head in plan.heads.values()]),
        (sql.SPAN, sql.span_rows(plan)),
        (sql.TOTALS, [totals]),
    ]


if __name__ == "__main__":
    run()
