"""
How many bytes a pod's change takes on disk, beside the limit of the budget.

The whole journal file after a checkpoint (rows, bodies, heads, names, indexes, dictionary) divided by its changes.
"""

import asyncio
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from aggregator.store.sqlite.journal import SqliteJournal
from benchmarks.pod_lives import plans

CHANGES = 100_000
PER_PLAN = 500
LIMIT_BYTES = 250


def run() -> list[dict[str, Any]]:
    """Run the bench, print its line, and return it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        changes = asyncio.run(_write(path))
        value = path.stat().st_size / changes
    line = {
        "name": "bytes_per_change",
        "value": round(value, 1),
        "unit": "bytes",
        "baseline": LIMIT_BYTES,
        "ratio": round(value / LIMIT_BYTES, 3),
    }
    print(json.dumps(line), flush=True)
    return [line]


async def _write(path: Path) -> int:
    journal = SqliteJournal(path)
    await journal.open()
    for plan in plans(random.Random(1), CHANGES, PER_PLAN):
        await journal.commit(plan)
    changes = (await journal.facts())["changes"]
    await journal.close()
    return changes


if __name__ == "__main__":
    run()
