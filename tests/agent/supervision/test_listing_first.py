"""Whoever has to know every pod is shown them by one list, and not at each start."""

from dataclasses import replace

from agent.pods.book import PodBook
from agent.supervision.node import NodeScope
from agent.watch.tapping import TappedSink
from tests.agent.supervision.conftest import until

STREAM = "pods/node=node-a"


class Life:
    """A life of an agent of node-a, with a book of its pods or without one."""

    def __init__(self, house, whole):
        self.house = house
        self.book = None if whole is None else PodBook(now_ns=lambda: 1)
        tools = house.tools
        if self.book is not None:
            self.book.restore({}, None, whole)

            async def keep():
                pass

            tools = replace(tools, sink=TappedSink(house.spool, self.book, keep))
        self.scope = NodeScope(tools, house.spool, "node-a")
        if self.book is not None:
            self.scope.watchers.list_first("pods", unless=self.book.whole.__contains__)

    async def __aenter__(self):
        self.listed_before = self.house.tools.counters.lists.total()
        await self.house.run(self.scope)
        await until(lambda: [it.state for it in self.scope.watchers.health()] == ["live"])
        return self

    async def __aexit__(self, *_):
        await self.house.end()
        await self.house.spool.flush()

    @property
    def lists(self):
        return self.house.tools.counters.lists.total() - self.listed_before


def let_the_journal_catch_up(house):
    house.claims.points[STREAM] = house.spool.marks()[STREAM].resource_version


async def test_a_book_is_filled_by_a_list_and_an_ordinary_restart_needs_none(house):
    await house.add_pod("web", "node-a")
    async with Life(house, whole=()) as first:
        assert first.lists == 1
        assert first.book.of_name("shop", "web") is not None
        assert first.book.whole == {STREAM}
    let_the_journal_catch_up(house)

    async with Life(house, whole={STREAM}) as second:
        assert second.lists == 0


async def test_a_stream_that_is_not_whole_in_the_book_is_listed_although_the_watch_could_go_on(house):
    await house.add_pod("web", "node-a")
    async with Life(house, whole=None):
        pass
    let_the_journal_catch_up(house)

    async with Life(house, whole={"pods/node=node-b"}) as life:
        await until(lambda: life.book.of_name("shop", "web"))
        await until(lambda: life.book.whole == {STREAM, "pods/node=node-b"})


async def test_a_stream_that_another_watched_meanwhile_is_listed(house):
    await house.add_pod("web", "node-a")
    async with Life(house, whole=()):
        pass
    let_the_journal_catch_up(house)
    later = await house.add_pod("made-meanwhile", "node-a")
    house.claims.points[STREAM] = int(later["metadata"]["resourceVersion"])

    async with Life(house, whole={STREAM}) as life:
        assert await until(lambda: life.book.of_name("shop", "made-meanwhile"))
