"""What a gap counts besides itself."""

from aggregator.census.families import BLIND
from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft
from aggregator.records import CounterKey
from kubescribe.wire.records import Gap
from tests.aggregator.ingest.conftest import a_ledger
from tests.aggregator.ingest.house import SECOND


def a_gap(stream: str) -> Gap:
    return Gap(id=stream, stream=stream, cause="expired", start=SECOND, to=3 * SECOND, outcome="lost")


def test_a_watch_was_blind_for_as_long_as_its_gap_but_of_lines_that_were_lost_none_was():
    draft = Draft(a_ledger(), 0)
    add_gap(draft, a_gap("pods/node=n1"))
    add_gap(draft, a_gap("logs/shop/web-0/app"))

    assert {key: value for key, value in draft.plan.counters.items() if key.family == BLIND} == {
        CounterKey(BLIND, ("pods/node=n1",)): 2_000
    }
    assert draft.plan.counters[CounterKey("gaps_total", ("expired",))] == 2
