"""What ingest remembers of spools is bounded."""

from aggregator.ingest import ledger as ledgers
from aggregator.ingest.ledger import Draft, Ledger
from aggregator.records import StreamRow
from tests.aggregator.ingest.conftest import a_ledger


def took(ledger: Ledger, *spools: str) -> list[str]:
    """Commit a batch of each of *spools* in one transaction; return what was forgotten."""
    draft = Draft(ledger, 0)
    for spool in spools:
        draft.took_batch(spool, draft.last_batch(spool) + 1)
    draft.absorb()
    return draft.plan.forgotten_spools


def test_of_too_many_spools_the_one_that_was_silent_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(ledgers, "MAX_SPOOLS", 3)
    ledger = a_ledger(spools={"a": 1, "b": 1, "c": 1})

    assert took(ledger, "a") == []
    assert took(ledger, "d") == ["b"]
    assert took(ledger, "e", "f", "c") == ["c", "a"]
    assert ledger.spools == {"d": 1, "e": 1, "f": 1, "c": 2}
    assert took(ledger, "g") == ["d", "e"]


def test_a_spool_that_holds_a_stream_is_not_forgotten(monkeypatch):
    monkeypatch.setattr(ledgers, "MAX_SPOOLS", 1)
    row = StreamRow(
        name="pods", kind="Pod", resource_version=1, epoch=1, complete_at=1, holder="a", held_since=1, term=1
    )
    ledger = a_ledger(spools={"a": 1}, streams={"pods": row})

    assert took(ledger, "b") == []
    assert ledger.spools == {"a": 1, "b": 1}
