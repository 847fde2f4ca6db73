"""Lines are counted once by their own numbers, whatever way they came, and nothing odd makes a series."""

import asyncio

import pytest

from aggregator.census.families import COUNTERS
from aggregator.ingest.ledger import Draft
from aggregator.ingest.linecounts import LINES, count_lines
from aggregator.records import CounterKey
from aggregator.store.opening import open_journal
from kubescribe.wire.records import MAX_INTEGER, LineCount, LineCounts
from tests.aggregator.ingest.conftest import a_ledger


def told(n: int, source: str = "tail-1", **levels: int) -> LineCounts:
    counts = tuple(
        LineCount(namespace="shop", workload="web", level=level.strip("_"), count=count)
        for level, count in levels.items()
    )
    return LineCounts(source=source, n=n, observed_at=n, counts=counts)


async def counted(url: str) -> dict[str, int]:
    journal = open_journal(url)
    state = await journal.open()
    await journal.close()
    return {labels[-1]: value for (family, labels), value in state.counters.items() if family == LINES}


@pytest.fixture
def url(tmp_path):
    return str(tmp_path / "journal.db")


async def test_lines_are_added_up_across_restarts_and_errors_begin_at_zero(url, reopen):
    async with reopen(url) as scribe:
        await scribe.send(told(1, info=3, _=2))
    assert await counted(url) == {"error": 0, "info": 3, "unknown": 2}

    async with reopen(url) as scribe:
        await scribe.other("spool-b").send(told(2, info=1, error=1))
    assert await counted(url) == {"error": 1, "info": 4, "unknown": 2}


async def test_what_comes_again_by_another_batch_or_under_a_new_spool_id_is_not_counted_again(url, reopen):
    async with reopen(url) as scribe:
        await scribe.send(told(1, info=3), told(1, info=3))
        await scribe.send(told(1, info=3))
    async with reopen(url) as scribe:
        await scribe.other("spool-reborn").send(told(1, info=3), told(2, info=1))
        await scribe.other("spool-other").send(told(1, source="tail-2", info=5))

    assert await counted(url) == {"error": 0, "info": 9}


async def test_a_repetition_in_the_same_transaction_is_not_counted_again(scribe):
    again = scribe.other("spool-b")
    await asyncio.gather(scribe.send(told(1, info=3)), again.send(told(1, info=3)))

    assert sum(committed.tally["duplicate"] for committed in scribe.committed) == 1


@pytest.mark.parametrize(
    "odd",
    [
        LineCount(namespace="", workload="web", level="info", count=1),
        LineCount(namespace="shop", workload="w" * 300, level="info", count=1),
        LineCount(namespace="shop", workload="web", level="info", count=-1),
        LineCount(namespace="shop", workload="web", level="info", count=MAX_INTEGER),
    ],
    ids=["nameless", "long", "negative", "impossible"],
)
def test_what_cannot_be_is_told_and_not_counted(odd):
    draft = Draft(a_ledger(), 0)
    count_lines(draft, LineCounts(source="s", n=1, observed_at=1, counts=(odd, *told(1, info=2).counts)))

    assert draft.tally["malformed"] == 1
    assert draft.plan.counters == {
        CounterKey(LINES, ("shop", "web", "error")): 0,
        CounterKey(LINES, ("shop", "web", "info")): 2,
    }


def test_a_level_that_a_newer_agent_tells_makes_no_series_of_its_own():
    draft = Draft(a_ledger(), 0)
    count_lines(draft, told(1, shouting=2))

    assert draft.plan.counters[CounterKey(LINES, ("shop", "web", "unknown"))] == 2


def test_the_labels_are_those_of_the_family():
    assert COUNTERS[LINES].labels == ("namespace", "workload", "level")
