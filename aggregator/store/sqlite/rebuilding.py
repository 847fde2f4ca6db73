"""Whole objects from key versions and patches: along each row's base down to the first row that has a body."""

from collections.abc import Iterable

from aggregator.store import patches
from aggregator.store.bodies import DamagedValue
from aggregator.store.sqlite.columns import said_of
from aggregator.store.sqlite.pool import Reading

_LINK = """SELECT c.base, c.said, b.body FROM changes AS c LEFT JOIN bodies AS b ON b.seq = c.seq WHERE c.seq = ?"""


def rebuild(reading: Reading, seqs: Iterable[int]) -> dict[int, bytes]:
    """Return the object as of each change; a seq that is not in the journal is missing from the answer."""
    known: dict[int, bytes] = {}
    return {seq: body for seq in seqs if (body := _rebuild(reading, seq, known)) is not None}


def _rebuild(reading: Reading, seq: int, known: dict[int, bytes]) -> bytes | None:
    steps: list[tuple[int, bytes]] = []
    at = seq
    while (body := known.get(at)) is None:
        row = reading.connection.execute(_LINK, (at,)).fetchone()
        if row is None:
            if at == seq:
                return None
            raise DamagedValue(f"change {seq} is built on change {at}, which is missing")
        base, said, packed = row
        if packed is not None:
            body = reading.unpacker.unpack(packed)
            break
        patch = None if said is None else said_of(reading.unpacker.unpack(said))[1]
        if base is None or patch is None:
            raise DamagedValue(f"change {at} has neither a body nor a base")
        steps.append((at, patch))
        at -= base
    known[at] = body
    for at, patch in reversed(steps):
        body = known[at] = patches.apply(body, patch)
    return body
