"""Small answers about the whole journal, none of which walks its rows."""

from aggregator.records import Horizon
from aggregator.store.sqlite.columns import SPAN_SEQS
from aggregator.store.sqlite.pool import Reading

_COMMITTED = """SELECT max(seq) FROM (
    SELECT max(seq) AS seq FROM changes WHERE seq BETWEEN ?1 AND ?2 AND observed_at + lag < ?3
    UNION ALL SELECT max(seq) FROM occurrences WHERE seq BETWEEN ?1 AND ?2 AND observed_at + lag < ?3
    UNION ALL SELECT max(seq) FROM gaps WHERE seq BETWEEN ?1 AND ?2 AND committed_at < ?3
    UNION ALL SELECT max(seq) FROM presences WHERE seq BETWEEN ?1 AND ?2 AND committed_at < ?3)"""

_OLDEST = """SELECT min(seq), at FROM (
    SELECT seq, at FROM (SELECT seq, observed_at + lag AS at FROM changes WHERE seq > ?1 ORDER BY seq LIMIT 1)
    UNION ALL SELECT * FROM (SELECT seq, observed_at + lag FROM occurrences WHERE seq > ?1 ORDER BY seq LIMIT 1)
    UNION ALL SELECT * FROM (SELECT seq, committed_at FROM gaps WHERE seq > ?1 ORDER BY seq LIMIT 1)
    UNION ALL SELECT * FROM (SELECT seq, committed_at FROM presences WHERE seq > ?1 ORDER BY seq LIMIT 1))"""


def horizon(reading: Reading) -> Horizon:
    """Return the horizon: at or below it records may be missing."""
    rows = reading.connection.execute("SELECT name, value FROM meta WHERE name IN ('horizon_seq', 'horizon_at')")
    found: dict[str, int] = dict(rows.fetchall())
    return Horizon(found.get("horizon_seq", 0), found.get("horizon_at", 0))


def seq_at(reading: Reading, committed_at: int) -> int:
    """Return the highest seq committed before *committed_at*, or the horizon; seqs are committed in order."""
    horizon_seq, _ = horizon(reading)
    row = reading.connection.execute(
        "SELECT max(span) FROM spans WHERE first_committed_at < ?", (committed_at,)
    ).fetchone()
    if row[0] is None:
        return horizon_seq
    first = row[0] * SPAN_SEQS
    (seq,) = reading.connection.execute(_COMMITTED, (first, first + SPAN_SEQS - 1, committed_at)).fetchone()
    return max(seq or 0, horizon_seq)


def facts(reading: Reading) -> dict[str, int]:
    """Return lastSeq, oldestCommittedAt (0: nothing yet), horizonSeq, changes, objects and living."""
    execute = reading.connection.execute
    last_seq, changes = execute("SELECT last_seq, changes FROM totals WHERE id = 1").fetchone()
    horizon_seq, horizon_at = horizon(reading)
    _, oldest = execute(_OLDEST, (horizon_seq,)).fetchone()
    (objects,) = execute("SELECT count(*) FROM heads").fetchone()
    (living,) = execute("SELECT count(*) FROM heads WHERE gone = 0").fetchone()
    return {
        "lastSeq": last_seq,
        "oldestCommittedAt": horizon_at if oldest is None else oldest,
        "horizonSeq": horizon_seq,
        "changes": changes,
        "objects": objects,
        "living": living,
    }
