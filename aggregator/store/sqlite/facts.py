"""Small answers about the whole journal, none of which walks its rows."""

from aggregator.store.sqlite.columns import SPAN_SEQS
from aggregator.store.sqlite.pool import Reading

_COMMITTED = """SELECT max(seq) FROM (
    SELECT max(seq) AS seq FROM changes WHERE seq BETWEEN ?1 AND ?2 AND observed_at + lag < ?3
    UNION ALL SELECT max(seq) FROM occurrences WHERE seq BETWEEN ?1 AND ?2 AND observed_at + lag < ?3
    UNION ALL SELECT max(seq) FROM gaps WHERE seq BETWEEN ?1 AND ?2 AND committed_at < ?3
    UNION ALL SELECT max(seq) FROM presences WHERE seq BETWEEN ?1 AND ?2 AND committed_at < ?3)"""


def seq_at(reading: Reading, committed_at: int) -> int:
    """Return the highest seq committed before *committed_at*, 0 if none; seqs are committed in order."""
    row = reading.connection.execute(
        "SELECT max(span) FROM spans WHERE first_committed_at < ?", (committed_at,)
    ).fetchone()
    if row[0] is None:
        return 0
    first = row[0] * SPAN_SEQS
    (seq,) = reading.connection.execute(_COMMITTED, (first, first + SPAN_SEQS - 1, committed_at)).fetchone()
    return 0 if seq is None else int(seq)


def facts(reading: Reading) -> dict[str, int]:
    """Return lastSeq, oldestCommittedAt (0: nothing yet), changes, objects and living."""
    execute = reading.connection.execute
    last_seq, changes = execute("SELECT last_seq, changes FROM totals WHERE id = 1").fetchone()
    (oldest,) = execute("SELECT first_committed_at FROM spans ORDER BY span LIMIT 1").fetchone() or (0,)
    (objects,) = execute("SELECT count(*) FROM heads").fetchone()
    (living,) = execute("SELECT count(*) FROM heads WHERE gone = 0").fetchone()
    return {
        "lastSeq": last_seq,
        "oldestCommittedAt": oldest,
        "changes": changes,
        "objects": objects,
        "living": living,
    }
