"""What is in a journal's file, read beside the aggregator that writes it. Not a measurement."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 120.0


def journal_of(aggregator_folder: Path) -> Path:
    """Return the file of an aggregator that `daemons.aggregator` made."""
    return aggregator_folder / "data" / "journal.db"


def ask(journal: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of *sql*, none while the journal is not made yet."""
    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []


def living(journal: Path) -> int:
    """Return how many objects there are."""
    rows = ask(journal, "SELECT count(*) FROM heads WHERE gone = 0")
    return int(rows[0][0]) if rows else 0


async def until_living(journal: Path, objects: int, seconds: float = PATIENCE_SECONDS) -> int:
    """Wait until there are so many *objects* at least, and return how many there are."""
    async with asyncio.timeout(seconds):
        while (found := await asyncio.to_thread(living, journal)) < objects:
            await asyncio.sleep(0.2)
    return found
