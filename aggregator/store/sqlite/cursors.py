"""What outlets need: how far each has come, and what a change made of its object."""

import json
from collections.abc import Iterator, Sequence

from aggregator.records import Transition
from aggregator.store.sqlite.pool import Reading
from aggregator.store.sqlite.rebuilding import rebuild
from aggregator.store.sqlite.statements import Step

_BASES = "SELECT seq, base FROM changes WHERE seq IN (SELECT value FROM json_each(?))"


def cursor(reading: Reading, name: str) -> int | None:
    """Return the seq to which the reader *name* has come, None when it never moved."""
    row = reading.connection.execute("SELECT seq FROM cursors WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def steps_to_move(name: str, seq: int) -> Iterator[Step]:
    """Give the statement that moves a cursor."""
    yield "INSERT INTO cursors VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seq = ?2", [(name, seq)]


def transitions(reading: Reading, seqs: Sequence[int]) -> dict[int, Transition]:
    """Return the object before and after each change that is still there."""
    rows = reading.connection.execute(_BASES, (json.dumps(list(seqs)),)).fetchall()
    before = {seq: None if base is None else seq - base for seq, base in rows}
    bodies = rebuild(reading, {*before, *(base for base in before.values() if base is not None)})
    # Of a key version retention may have deleted what lay below it.
    return {seq: Transition(None if base is None else bodies.get(base), bodies[seq]) for seq, base in before.items()}
