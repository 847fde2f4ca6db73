"""Absence as records, and the roster: decided on drafts without a journal."""

import pytest
from msgspec.structs import replace

from aggregator.ingest.ledger import Draft, Ledger
from aggregator.ingest.presence import Roster, came, made_good, went
from kubescribe.wire.link import PROTOCOL_VERSION, Hello
from kubescribe.wire.records import Gap, Presence, StreamHealth
from tests.aggregator.ingest.conftest import a_ledger

SECOND = 1_000_000_000


@pytest.fixture
def ledger() -> Ledger:
    return a_ledger()


def a_hello(agent="all", instance="i") -> Hello:
    return Hello(
        protocol=PROTOCOL_VERSION,
        agent=agent,
        scope="all",
        version="1",
        instance=instance,
        spool_id="s",
        cluster_uid="c",
    )


def a_report(*states: str, at=100 * SECOND, oldest=None) -> Presence:
    streams = tuple(StreamHealth(name=f"s{index}", state=state) for index, state in enumerate(states))
    return Presence(agent="all", state="report", observed_at=at, oldest_unsent_at=oldest, streams=streams)


def states(draft: Draft) -> list[tuple[str, str]]:
    return [(row.presence.agent, row.presence.state) for row in draft.plan.presences]


def test_an_agent_that_went_twice_in_one_transaction_went_once(ledger):
    draft = Draft(ledger, 1)
    came(draft, a_hello(), 1)
    went(draft, "all", 2)
    went(draft, "all", 3)

    assert states(draft) == [("all", "came"), ("all", "went")]
    assert [row.gap.start for row in draft.plan.gaps] == [2]


def test_who_was_never_here_cannot_go(ledger):
    draft = Draft(ledger, 1)
    went(draft, "all", 2)

    assert (states(draft), draft.plan.gaps) == ([], [])


def test_each_absence_is_a_gap_of_its_own(ledger):
    for at in (10, 20):
        draft = Draft(ledger, at)
        came(draft, a_hello(), at)
        went(draft, "all", at + 1)
        draft.absorb()

    assert sorted(gap.start for gap in ledger.open_gaps.values()) == [11, 21]
    assert ledger.present == {}


@pytest.mark.parametrize(
    "report",
    [
        a_report("live", "listing"),
        a_report("live", "retrying"),
        a_report(),
        a_report("live", oldest=90 * SECOND),
    ],
)
def test_an_absence_stays_open_until_the_agent_has_sent_all_and_sees(ledger, report):
    ledger.open_gaps.put(Gap(id="g", stream="agent/all", cause="agent_absent", start=5))

    assert made_good(ledger, report, "s") == []


def test_a_report_closes_the_absences_of_its_agent_and_no_others(ledger):
    for agent in ("all", "other"):
        ledger.open_gaps.put(Gap(id=agent, stream=f"agent/{agent}", cause="agent_absent", start=5))
    ledger.open_gaps.put(Gap(id="w", stream="pods", cause="watch_disconnected", start=5))

    closed = made_good(ledger, a_report("live", "forbidden", oldest=99 * SECOND), "s")

    assert [(gap.id, gap.outcome, gap.to) for gap in closed] == [("all", "recovered", 100 * SECOND)]


def test_an_absence_that_ends_by_a_clock_that_is_behind_still_ends_after_it_began(ledger):
    ledger.open_gaps.put(Gap(id="g", stream="agent/all", cause="agent_absent", start=500 * SECOND))

    (closed,) = made_good(ledger, a_report("live"), "s")

    assert closed.to == closed.start


def test_the_roster_counts_the_lag_from_the_oldest_record_that_was_not_sent():
    roster = Roster(lambda: 10 * SECOND)
    roster.came(a_hello(), 1 * SECOND)
    roster.report(replace(a_report("live"), oldest_unsent_at=4 * SECOND))
    assert [agent.lag_seconds for agent in roster.agents()] == [6.0]

    roster.went("all", 8 * SECOND)
    (agent,) = roster.agents()
    assert (agent.connected, agent.lag_seconds) == (False, 2.0)


def test_the_roster_knows_who_was_here_before_the_aggregator_began():
    present = Presence(agent="all", state="came", observed_at=3 * SECOND)
    (agent,) = Roster(lambda: 10 * SECOND, [present]).agents()

    assert (agent.agent, agent.connected, agent.since) == ("all", False, 3 * SECOND)
