"""The cluster agent covers for node agents that are away and lets go of nodes that are gone; no sockets here."""

import pytest
from msgspec.structs import replace

from aggregator.errors import LinkRefused
from aggregator.ingest import adopting as adopting_module
from aggregator.ingest import reception as reception_module
from kubescribe.wire.link import Adopt
from kubescribe.wire.records import Gap
from tests.aggregator.ingest.house import SECOND, FailingJournal, a_node, a_pod, opened_house, until


@pytest.fixture
async def house(monkeypatch):
    monkeypatch.setattr(reception_module, "DEPARTURE_GRACE_SECONDS", 0.02)
    monkeypatch.setattr(adopting_module, "TICK_SECONDS", 0.01)
    async with opened_house() as opened:
        yield opened


def pass_time(house, seconds: float) -> None:
    house.clock.now += int(seconds * SECOND)


async def has_adopted(talk, *nodes: str) -> None:
    async def told() -> bool:
        return talk.adopted() == list(nodes)

    await until(told)


async def gap_of(house, stream: str) -> dict:
    return next(gap for gap in await house.gaps() if gap["stream"] == stream)


async def until_outcome(house, stream: str, outcome: str) -> None:
    async def is_so() -> bool:
        return any(gap["stream"] == stream and gap["outcome"] == outcome for gap in await house.gaps())

    await until(is_so)


async def test_the_leader_adopts_a_node_whose_agent_stays_away_and_gives_it_back(house):
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10))
    agent = await house.node_agent("n1")
    await has_adopted(leader)

    await house.reception.gone(agent)
    pass_time(house, 61)
    await has_adopted(leader, "n1")
    assert await house.claim(leader, "pods/node=n1") == ["pods/node=n1"]

    again = await house.node_agent("n1", instance="i2")
    await has_adopted(leader)
    assert house.pipeline.ledger.streams["pods/node=n1"].holder == again.spool_id


async def test_an_absence_is_made_good_by_the_leader_that_holds_the_stream_and_sees(house):
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10))
    agent = await house.node_agent("n1")
    await house.reception.gone(agent)
    await until_outcome(house, "agent/node/n1", "open")
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
    assert (await gap_of(house, "agent/node/n1"))["outcome"] == "open"  # it does not hold the stream

    pass_time(house, 61)
    await has_adopted(leader, "n1")
    await house.claim(leader, "pods/node=n1")
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="retrying")
    assert (await gap_of(house, "agent/node/n1"))["outcome"] == "open"
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
    assert (await gap_of(house, "agent/node/n1"))["outcome"] == "recovered"


async def test_a_claim_that_crossed_with_the_nodes_return_is_left_out(house):
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10))
    pass_time(house, 61)
    await has_adopted(leader, "n1")
    agent = await house.node_agent("n1")

    assert await house.claim(leader, "pods/node=n1", "services") == ["services"]
    assert house.pipeline.ledger.streams["pods/node=n1"].holder == agent.spool_id


async def test_nobody_claims_what_is_not_his(house):
    leader = await house.cluster_agent()
    agent = await house.node_agent("n1")

    for stream in ("pods/node=n2", "nodes", "pods/unscheduled", "pods"):
        with pytest.raises(LinkRefused, match="not of the node"):
            await house.claim(agent, stream)
    assert await house.claim(leader, "pods/node=n7") == []


async def test_a_node_agent_says_which_node_and_no_other_does(house):
    with pytest.raises(LinkRefused, match="names its node"):
        await house.come(scope="node")
    with pytest.raises(LinkRefused, match="names its node"):
        await house.come(node="n1")


async def test_a_deleted_node_is_retired_once_the_leader_sees_that_its_pods_are_gone(house):
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10))
    agent = await house.node_agent("n1")
    await house.send(agent, a_pod("web", 20, node="n1"))
    await house.reception.gone(agent)
    await until_outcome(house, "agent/node/n1", "open")
    await house.send(leader, a_node("n1", 30, gone=True))
    await has_adopted(leader, "n1")  # without waiting for a minute
    await house.claim(leader, "pods/node=n1")
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
    assert "pods/node=n1" in house.pipeline.ledger.streams

    await house.send(leader, a_pod("web", 40, node="n1", gone=True))
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
    await has_adopted(leader)

    assert "pods/node=n1" not in house.pipeline.ledger.streams
    assert [it.agent for it in house.roster.agents()] == ["cluster/a"]
    assert house.coverage.nodes() == ()
    assert {gap["outcome"] for gap in await house.gaps()} == {"recovered"}


async def test_a_node_is_not_retired_before_the_going_of_its_agent_is_written(house, monkeypatch):
    monkeypatch.setattr(reception_module, "DEPARTURE_GRACE_SECONDS", 0.3)
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10))
    agent = await house.node_agent("n1")
    await house.send(leader, a_node("n1", 30, gone=True))
    await house.reception.gone(agent)
    await has_adopted(leader, "n1")
    await house.claim(leader, "pods/node=n1")
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")

    await has_adopted(leader)
    assert ("node/n1", "went") in await house.presences()
    assert [gap["outcome"] for gap in await house.gaps()] == ["recovered"]


async def test_the_absence_of_an_agent_whose_node_was_retired_before_is_closed_too(house):
    leader = await house.cluster_agent()
    agent = await house.node_agent("n1")  # its Node is deleted, its machine is not
    await house.reception.gone(agent)
    await until_outcome(house, "agent/node/n1", "open")
    await has_adopted(leader, "n1")
    await house.claim(leader, "pods/node=n1")
    await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
    await has_adopted(leader)

    assert [gap["outcome"] for gap in await house.gaps()] == ["recovered"]
    assert [it.agent for it in house.roster.agents()] == ["cluster/a"]


async def test_an_agent_that_died_before_it_claimed_and_whose_node_is_gone_is_closed_after_a_restart(monkeypatch):
    monkeypatch.setattr(adopting_module, "TICK_SECONDS", 0.01)
    journal = FailingJournal()
    async with opened_house(journal) as house:
        await house.come(agent="node/n1", scope="node", node="n1", spool="spool-n1")
    async with opened_house(journal) as house:
        leader = await house.cluster_agent()
        await has_adopted(leader, "n1")
        await house.claim(leader, "pods/node=n1")
        await house.report(leader, nodes="live", unscheduled="live", pods_n1="live")
        await until_outcome(house, "agent/node/n1", "recovered")


async def test_a_pod_that_is_bound_to_a_node_that_is_no_more_is_watched_until_it_is_gone(house):
    leader = await house.cluster_agent()
    found = replace(a_pod("web", 20, node="ghost"), stream="pods/unscheduled", listed=True)
    await house.send(leader, a_pod("web", 10), found)
    await has_adopted(leader, "ghost")
    await house.claim(leader, "pods/node=ghost")
    await house.report(leader, nodes="live", unscheduled="live", pods_ghost="live")
    await house.send(leader, a_pod("web", 30, node="ghost", gone=True))
    await has_adopted(leader)

    assert await house.alive() == []


async def test_a_leader_that_wakes_opens_no_gap_of_a_node_that_was_let_go_meanwhile(house):
    woken = await house.cluster_agent("a")
    await house.node_agent("n2")

    for node in ("n1", "n2"):
        gap = Gap(id=f"g-{node}", stream=f"pods/node={node}", cause="watch_disconnected", start=5 * SECOND)
        await house.send(woken, gap)

    assert {it["stream"]: it["outcome"] for it in await house.gaps()} == {
        "pods/node=n1": "recovered",
        "pods/node=n2": "open",
    }


async def test_a_node_that_nobody_reports_is_an_open_gap_until_somebody_does(house):
    agent = await house.node_agent("n1")
    leader = await house.cluster_agent()
    await house.send(leader, a_node("n1", 10), *(a_node(f"far-{it}", 11 + it) for it in range(3)))
    await has_adopted(leader)
    pass_time(house, 61)
    await has_adopted(leader, "far-0", "far-1")  # the limit of this house is two
    await until_outcome(house, "pods/node=far-2", "open")
    gap = await gap_of(house, "pods/node=far-2")
    assert gap["cause"] == "node_unreported"
    assert [it["stream"] for it in await house.gaps()] == ["pods/node=far-2"]

    late = await house.node_agent("far-2")
    await house.send(late, a_pod("web", 30, node="far-2"))
    await until_outcome(house, "pods/node=far-2", "recovered")
    assert agent.ended == []


async def test_a_standby_that_goes_is_no_gap_and_is_forgotten(house):
    await house.cluster_agent("a")
    standby = await house.cluster_agent("b", leads=False)
    await house.reception.gone(standby)

    async def is_forgotten() -> bool:
        return [it.agent for it in house.roster.agents()] == ["cluster/a"]

    await until(is_forgotten)
    assert await house.gaps() == []


async def test_a_leader_that_is_gone_is_made_good_by_the_next_one(house):
    first = await house.cluster_agent("a")
    await house.reception.gone(first)
    await until_outcome(house, "agent/cluster/a", "open")
    second = await house.cluster_agent("b")
    await house.report(second, nodes="live", unscheduled="listing")
    assert (await gap_of(house, "agent/cluster/a"))["outcome"] == "open"
    await house.report(second, nodes="live", unscheduled="live")

    assert (await gap_of(house, "agent/cluster/a"))["outcome"] == "recovered"
    assert [it.agent for it in house.roster.agents()] == ["cluster/b"]


async def test_a_leader_that_comes_back_as_a_standby_does_not_make_its_absence_good(house):
    first = await house.cluster_agent("a")
    await house.reception.gone(first)
    await until_outcome(house, "agent/cluster/a", "open")
    back = await house.cluster_agent("a", leads=False)
    await house.report(back, election="live")
    assert (await gap_of(house, "agent/cluster/a"))["outcome"] == "open"

    second = await house.cluster_agent("b")
    await house.report(second, nodes="live", unscheduled="live", election="live")
    assert (await gap_of(house, "agent/cluster/a"))["outcome"] == "recovered"
    assert [it.agent for it in house.roster.agents()] == ["cluster/a", "cluster/b"]


async def test_a_new_leader_is_told_what_to_adopt(house):
    first = await house.cluster_agent("a")
    await house.send(first, a_node("n1", 10))
    pass_time(house, 61)
    await has_adopted(first, "n1")
    await house.claim(first, "pods/node=n1")
    await house.reception.gone(first)
    second = await house.cluster_agent("b")
    pass_time(house, 61)
    await has_adopted(second, "n1")


async def test_a_leader_that_claims_again_is_told_again(house):
    leader = await house.cluster_agent()
    await has_adopted(leader)
    await house.claim(leader, "pods/unscheduled")

    async def was_told_twice() -> bool:
        return sum(isinstance(message, Adopt) for message in leader.sent) == 2

    await until(was_told_twice)


async def test_a_leader_on_a_new_connection_is_told_there_and_the_old_one_is_forgotten(house):
    old = await house.cluster_agent()
    await has_adopted(old)
    await house.send(old, a_node("n1", 10))
    new = await house.cluster_agent()  # the old connection was half-open: it is superseded, and ends only now
    await house.reception.gone(old)
    pass_time(house, 61)

    await has_adopted(new, "n1")
    assert old.adopted() == []
    await house.reception.gone(new)
    assert house.adopting.leader is None


async def test_a_leader_whose_streams_were_taken_by_one_that_does_not_watch_is_called_back(house):
    leader = await house.cluster_agent("a")
    woken = await house.cluster_agent("b")  # was stopped, claims, and sees only then that it leads no more
    await house.report(leader, unscheduled="live")
    await house.report(woken)
    pass_time(house, 11)

    async def was_called() -> bool:
        await house.report(leader, unscheduled="live")
        pass_time(house, 5)
        return bool(leader.ended)

    await until(was_called)
    assert woken.ended == []


async def test_two_that_both_believe_to_lead_are_left_alone(house):
    first, second = await house.cluster_agent("a"), await house.cluster_agent("b")
    for _ in range(20):
        await house.report(first, unscheduled="live")
        await house.report(second, unscheduled="live")
        pass_time(house, 5)
        house.adopting._call_back_deposed()

    assert first.ended == second.ended == []


async def test_after_a_restart_the_nodes_are_known_and_those_adopted_stay_so(monkeypatch):
    monkeypatch.setattr(adopting_module, "TICK_SECONDS", 0.01)
    journal = FailingJournal()
    async with opened_house(journal) as house:
        leader = await house.cluster_agent()
        await house.send(leader, a_node("n1", 10), a_node("n2", 11), a_node("n3", 12))
        await house.node_agent("n2")
        pass_time(house, 61)
        await has_adopted(leader, "n1", "n3")
        await house.claim(leader, "pods/node=n1")
        await house.send(leader, a_node("n3", 20, gone=True))
    async with opened_house(journal) as house:
        (gap,) = [it for it in house.pipeline.ledger.open_gaps.values() if it.stream == "agent/node/n2"]
        assert {it.node: it.since for it in house.coverage.nodes()}["n2"] == gap.start
        assert {it.node: (it.state, it.is_gone) for it in house.coverage.nodes()} == {
            "n1": ("unreported", False),
            "n2": ("unreported", False),
            "n3": ("unreported", True),
        }
        leader = await house.cluster_agent()
        await has_adopted(leader, "n1", "n3")
        await house.node_agent("n2")
        assert {it.node: it.state for it in house.coverage.nodes()}["n2"] == "reporting"
