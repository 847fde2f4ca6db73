"""An agent that was welcomed before its Node was known is told the zone when it is."""

import asyncio

from aggregator.errors import RequestFailed
from aggregator.ingest import latezones
from kubescribe.wire.codec import decode_zones
from kubescribe.wire.link import ZONES
from tests.aggregator.ingest.house import Talk, a_hello, opened_house
from tests.aggregator.ingest.test_zones import node


class Told(Talk):
    """A node agent that notes what it is told."""

    def __init__(self, hello):
        super().__init__(hello)
        self.zones: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.is_old = False

    async def request(self, verb, arguments=b"", deadline_seconds=10.0):  # noqa: ARG002
        assert verb == ZONES
        self.zones.put_nowait(decode_zones(arguments))
        if self.is_old:
            raise RequestFailed("unknown verb")
        return
        yield b""


async def comes(house, name):
    hello = a_hello(agent=f"node/{name}", scope="node", node=name, spool=f"s-{name}")
    told = Told(hello)
    await house.reception.welcome(told, hello)
    return told


async def test_a_node_that_becomes_known_is_told_to_its_agent_once():
    async with opened_house() as house:
        told, other = await comes(house, "n1"), await comes(house, "n2")
        leader = await house.come()
        await house.claim(leader, "nodes")

        await house.send(leader, node("n1", "z-1", 5))
        async with asyncio.timeout(10):
            assert await told.zones.get() == {"n1": "z-1"}
        await house.send(leader, node("n1", "z-2", 6))
        await house.send(leader, node("n2", "", 7))
        async with asyncio.timeout(10):
            assert await other.zones.get() == {"n2": ""}

        assert told.zones.empty()


async def test_a_node_of_which_its_cloud_has_not_told_yet_is_told_when_it_has():
    async with opened_house() as house:
        told = await comes(house, "n1")
        leader = await house.come()
        await house.claim(leader, "nodes")
        bare = node("n1", "", 5)
        bare = type(bare)(
            **{field: getattr(bare, field) for field in bare.__struct_fields__}
            | {"body": b'{"spec":{"taints":[{"key":"node.cloudprovider.kubernetes.io/uninitialized"}]}}'}
        )

        await house.send(leader, bare)
        await house.send(leader, node("n1", "z-1", 6))

        async with asyncio.timeout(10):
            assert await told.zones.get() == {"n1": "z-1"}


async def test_a_node_that_was_committed_during_the_welcome_is_told(monkeypatch):
    monkeypatch.setattr(latezones, "_LOOK_AGAIN_SECONDS", 0.01)
    zones = [{}, {"n1": "z-1"}]

    async def zones_of(_node):
        return zones.pop(0)

    async with opened_house() as house:
        house.reception._zones_of = zones_of
        house.reception._late_zones._zones_of = zones_of
        told = await comes(house, "n1")

        async with asyncio.timeout(10):
            assert await told.zones.get() == {"n1": "z-1"}


async def test_an_older_agent_and_one_that_went_are_no_trouble():
    async with opened_house() as house:
        old, went = await comes(house, "n1"), await comes(house, "n2")
        old.is_old = True
        await house.reception.gone(went)
        leader = await house.come()
        await house.claim(leader, "nodes")

        await house.send(leader, node("n2", "z-2", 5), node("n1", "z-1", 6))
        async with asyncio.timeout(10):
            await old.zones.get()

        assert went.zones.empty()
