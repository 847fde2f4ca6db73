"""Deletes that the watch cache lost are found by asking etcd."""

import asyncio

from agent.spool.marks import StreamMark
from agent.watch.kinds import PODS
from kubescribe.wire.link import Grant

VERIFY = {"verify_seconds": 0.6, "confirm_seconds": 0.05}


async def test_a_delete_that_the_cache_lost_is_inferred_with_its_interval(world, wait):
    lost = await world.add_pod("lost")
    kept = await world.add_pod("kept")
    await world.live(**VERIFY)
    await world.control.lose_deletes("pods")

    await world.control.delete("pods", "shop", "lost")

    change = (await wait(lambda: [change for change in world.sink.changes if change.gone]))[0]
    assert change.uid == lost["metadata"]["uid"]
    assert change.resource_version == int(lost["metadata"]["resourceVersion"])
    assert change.inferred.after < change.inferred.before
    assert world.counters.inferred_deletes == 1
    assert kept["metadata"]["uid"] not in {change.uid for change in world.sink.changes if change.gone}


async def test_another_object_of_the_same_name_does_not_stand_for_the_old_one(world, wait):
    lost = await world.add_pod("web")
    await world.live(**VERIFY)
    await world.control.lose_deletes("pods")
    await world.control.delete("pods", "shop", "web")
    await world.add_pod("web")

    gone = await wait(lambda: [change for change in world.sink.changes if change.gone])

    assert [change.uid for change in gone] == [lost["metadata"]["uid"]]


async def test_after_a_resume_the_quiet_objects_are_verified_too(world, wait):
    lost = await world.add_pod("lost")
    at = (await world.control.state())["revision"]
    await world.control.lose_deletes("pods")
    await world.control.delete("pods", "shop", "lost")

    own = StreamMark(stream="pods", resource_version=at, epoch=1, term=1, seen_at=1)
    watcher = world.watcher(PODS, own=own, **VERIFY)
    watcher.granted(Grant(name="pods", term=1, epoch=1, resource_version=at))
    world.run(watcher)

    gone = await wait(lambda: [change for change in world.sink.changes if change.gone])
    assert [change.uid for change in gone] == [lost["metadata"]["uid"]]


async def test_an_object_that_is_there_is_asked_for_once_a_period(world, wait):
    await world.add_pod("web")
    await world.live(**VERIFY)

    await wait(lambda: world.counters.verified_objects >= 1)
    await asyncio.sleep(0.3)

    assert world.counters.verified_objects <= 2
    assert not [change for change in world.sink.changes if change.gone]
