"""Objects in doubt are asked for: what is there is recorded, only what is gone is a delete."""

import json

import pytest
import pytest_asyncio

from agent.watch.kinds import PODS
from agent.watch.settling import settle
from kubescribe.wire.link import Doubt

KINDS = {"Pod": PODS}


def doubt(pod, **changes):
    meta = pod["metadata"]
    facts = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return Doubt(**{"kind": "Pod", **facts, "resource_version": int(meta["resourceVersion"]) + 1, **changes})


@pytest_asyncio.fixture
async def unscheduled(world):
    return await world.live(PODS, "", verify_seconds=0.0)


@pytest.fixture
def settled(world, unscheduled):
    async def ask(*doubts):
        before = len(world.sink.changes)
        await settle(doubts, KINDS, unscheduled, unscheduled._tools)
        return world.sink.changes[before:]

    return ask


async def test_what_is_there_is_recorded_as_it_is_now(world, settled):
    pod = await world.add_pod("bound", node="node-7")

    (change,) = await settled(doubt(pod))

    assert (change.stream, change.term, change.listed, change.gone) == ("pods/unscheduled", 1, True, False)
    assert (change.node, change.resource_version) == ("node-7", int(pod["metadata"]["resourceVersion"]))
    assert json.loads(change.body)["spec"]["nodeName"] == "node-7"


async def test_what_is_gone_is_a_delete_with_the_version_of_the_doubt(world, settled):
    pod = await world.add_pod("gone")
    await world.control.delete("pods", "shop", "gone")

    (change,) = await settled(doubt(pod, resource_version=77))

    assert (change.uid, change.resource_version) == (pod["metadata"]["uid"], 77)
    assert (change.gone, change.listed, change.inferred, change.body) == (True, True, None, b"")


async def test_what_a_list_did_not_hold_was_deleted_at_an_unknown_moment(world, settled):
    pod = await world.add_pod("gone")
    await world.control.delete("pods", "shop", "gone")

    (change,) = await settled(doubt(pod, after=5))

    assert (change.inferred.after, change.inferred.before) == (5, change.observed_at)


async def test_another_object_of_that_name_does_not_stand_for_the_old_one(world, settled):
    old = await world.add_pod("web")
    await world.control.delete("pods", "shop", "web")
    await world.add_pod("web")

    (change,) = await settled(doubt(old))

    assert (change.uid, change.gone) == (old["metadata"]["uid"], True)


async def test_what_cannot_be_asked_for_stays_in_doubt(world, settled):
    pods = [await world.add_pod(f"web-{number}") for number in range(9)]
    await world.control.fail("pods", verb="get", code=503, count=4)

    changes = await settled(*map(doubt, pods), doubt(pods[0], kind="Dream"))

    assert len(changes) == 5


async def test_an_answer_that_is_no_object_is_no_delete(world, settled):
    pod = await world.add_pod("web")
    await world.control.fail("pods", verb="get", code=200, count=1)  # a Status, as from a proxy that hides errors

    assert await settled(doubt(pod)) == []


async def test_it_moves_no_resume_point(world, settled, unscheduled):
    pod = await world.add_pod("bound", node="node-7")
    before = unscheduled.health().resource_version

    await settled(doubt(pod))

    assert world.sink.marks[-1].resource_version == before
