"""How much of a list may wait in memory."""

from agent.watch.kinds import PODS, wanted_kinds

NODES = next(kind for kind in wanted_kinds() if kind.kind == "Node")


async def test_a_watchlist_that_does_not_fit_into_memory_is_given_up_for_pages_of_its_resource_only(world, wait):
    for number in range(5):
        await world.add_pod(f"web-{number}")

    await world.live(PODS, initial_bytes=3_000, page_items=2)

    end = await wait(lambda: world.sink.ends and world.sink.ends[0])
    assert (sorted(world.sink.names()), end.count, end.consistent) == ([f"web-{n}" for n in range(5)], 5, True)
    assert world.traits.large_resources == {"pods"}
    assert not world.traits.takes_watch_list(PODS)
    assert world.traits.takes_watch_list(NODES)
    assert world.session.requests["list pods"] == 3


async def test_what_is_too_large_for_one_answer_is_listed_in_pages_after_an_expiry_too(world, wait):
    for number in range(5):
        await world.add_pod(f"web-{number}")
    await world.live(PODS, initial_bytes=3_000, page_items=2)

    await world.control.expire("pods")

    await wait(lambda: len(world.sink.ends) == 2)
    assert world.session.requests["list pods"] >= 3 + 3, "whole it would be one request"
    assert [end.consistent for end in world.sink.ends] == [True, True]
