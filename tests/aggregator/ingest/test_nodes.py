"""Where the stream of a node's pods begins, before any agent has claimed it."""

import asyncio
from functools import partial

import pytest
from msgspec.structs import replace

from aggregator.ingest.nodes import look_again
from kubescribe.wire.records import Progress
from tests.aggregator.ingest.house import a_node, a_pod


@pytest.fixture
async def leader(scribe):
    await scribe.claim("nodes", kind="Node")
    await scribe.claim("pods/unscheduled")
    await scribe.send(Progress(stream="pods/unscheduled", term=1, resource_version=50, observed_at=1))
    return scribe


async def resume_point(scribe, node: str) -> tuple[int, bool]:
    (grant,) = await scribe.other(f"spool-{node}").claim(f"pods/node={node}")
    return grant.resource_version, grant.snapshot


async def test_the_pods_of_a_node_that_joins_begin_where_it_was_created(leader):
    await leader.send(a_node("n1", 40))

    assert await resume_point(leader, "n1") == (40, False)


async def test_they_begin_at_its_first_version_when_several_come_at_once(leader):
    await leader.send(a_node("n1", 40), a_node("n1", 45))

    assert await resume_point(leader, "n1") == (40, False)


async def test_they_never_begin_above_what_is_known_of_the_pods_without_a_node(leader):
    await leader.send(a_node("n1", 9_000))

    assert await resume_point(leader, "n1") == (50, False)


async def test_the_pods_of_a_node_that_was_listed_are_listed(leader):
    await leader.send(a_node("n1", 40, listed=True))

    assert await resume_point(leader, "n1") == (0, True)


async def test_a_node_that_was_seen_before_does_not_begin_anew(leader):
    await leader.send(a_node("n1", 40))
    agent = leader.other("spool-x")
    await agent.claim("pods/node=n1")
    await agent.send(a_pod("web", 60, node="n1"))
    await leader.send(a_node("n1", 70, gone=True), replace(a_node("n1", 80), uid="another"))

    assert await resume_point(leader, "n1") == (60, False)


async def test_a_node_that_goes_before_anybody_saw_its_pods_leaves_a_stream_to_look_at(leader):
    await leader.send(a_node("n1", 40, listed=True), a_node("n1", 41, gone=True))

    assert await resume_point(leader, "n1") == (0, True)


async def test_a_pod_of_a_node_without_a_stream_makes_one_to_look_at(leader):
    await leader.send(a_pod("web", 50), replace(a_pod("web", 60, node="ghost"), stream="pods/unscheduled", listed=True))

    assert await resume_point(leader, "ghost") == (0, True)


async def test_a_node_that_comes_in_the_transaction_that_retires_its_stream_has_one(leader):
    await leader.send(a_node("n1", 40), a_node("n1", 45, gone=True))
    retired = leader.pipeline.note(lambda draft: draft.plan.retired.add("pods/node=n1"))
    await asyncio.gather(retired, leader.send(replace(a_node("n1", 50), uid="another")))

    assert await resume_point(leader, "n1") == (50, False)


async def test_who_claims_in_the_transaction_that_retires_the_stream_holds_it(leader):
    await leader.send(a_node("n1", 40))
    retired = leader.pipeline.note(lambda draft: draft.plan.retired.add("pods/node=n1"))
    await asyncio.gather(retired, leader.other("spool-n1").claim("pods/node=n1"))

    assert leader.pipeline.ledger.streams["pods/node=n1"].holder == "spool-n1"


async def test_to_look_again_leaves_a_stream_that_somebody_holds_as_it_is(leader):
    agent = leader.other("spool-x")
    await agent.claim("pods/node=n1")
    held = leader.pipeline.ledger.streams["pods/node=n1"]

    for node in ("n1", "n2"):
        await leader.pipeline.note(partial(look_again, node=node))

    streams = leader.pipeline.ledger.streams
    assert streams["pods/node=n1"] == held
    assert (streams["pods/node=n2"].holder, streams["pods/node=n2"].resource_version) == ("", 0)


async def test_who_watches_all_pods_in_one_stream_gets_none_for_each_node(scribe):
    await scribe.claim("nodes", kind="Node")
    await scribe.claim("pods")
    await scribe.send(a_node("n1", 40), a_node("n1", 41, gone=True))

    assert list(scribe.pipeline.ledger.streams) == ["nodes", "pods"]
