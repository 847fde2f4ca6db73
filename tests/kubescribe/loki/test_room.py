"""What waits for Loki is bounded, and nobody takes all of it."""

import asyncio

from kubescribe.loki.room import Room


async def test_whoever_brings_more_than_fits_waits_until_something_left():
    room = Room(100)
    assert await room.enter("t", "a", 20)
    second = asyncio.create_task(room.enter("t", "a", 20))
    await asyncio.sleep(0)
    assert not second.done(), "a quarter for one stream"

    room.leave("t", "a", 20)

    assert await second
    assert room.used_bytes == 20


async def test_a_stream_and_a_tenant_that_wait_leave_room_to_the_others():
    room = Room(100)
    for stream in "abc":
        assert await room.enter("slow", stream, 25)
    fourth = asyncio.create_task(room.enter("slow", "d", 10))
    await asyncio.sleep(0)
    assert not fourth.done(), "three quarters for one tenant"

    assert await room.enter("other", "a", 25)

    room.leave("slow", "a", 25)
    assert await fourth


async def test_of_one_stream_who_came_first_goes_in_first():
    room = Room(100)
    await room.enter("t", "a", 25)
    order = []

    async def enter(name, size):
        await room.enter("t", "a", size)
        order.append(name)

    tasks = [asyncio.create_task(enter("large", 25)), asyncio.create_task(enter("small", 1))]
    await asyncio.sleep(0)
    room.leave("t", "a", 25)
    await asyncio.wait(tasks, timeout=0.01)
    assert order == ["large"]
    room.leave("t", "a", 25)
    await asyncio.gather(*tasks)
    assert order == ["large", "small"]


async def test_what_is_larger_than_its_share_has_the_room_for_itself():
    room = Room(100)

    assert await room.enter("t", "a", 500)
    other = asyncio.create_task(room.enter("t", "b", 1))
    await asyncio.sleep(0)
    assert not other.done()
    room.leave("t", "a", 500)
    assert await other


async def test_one_who_stops_waiting_takes_nothing_and_a_closed_room_sends_everybody_away():
    room = Room(100)
    await room.enter("t", "a", 25)
    cancelled, admitted, sent_away = (asyncio.create_task(room.enter("t", "a", 25)) for _ in range(3))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    room.leave("t", "a", 25)
    assert await admitted
    assert room.used_bytes == 25

    room.close()

    assert not await sent_away
