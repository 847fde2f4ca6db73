"""An agent is told the zones of the nodes whose lines it names."""

from aggregator.ingest.zones import zones_in
from kubescribe.wire.records import Change
from tests.aggregator.ingest.house import Talk, a_hello, opened_house


def node(name, zone, version):
    label = f'"topology.kubernetes.io/zone":"{zone}"' if zone else '"x":"y"'
    return Change(
        stream="nodes",
        term=1,
        kind="Node",
        name=name,
        uid=f"uid-{name}",
        resource_version=version,
        observed_at=version,
        body=f'{{"metadata":{{"name":"{name}","labels":{{{label}}}}}}}'.encode(),
    )


async def zones_of(house, **hello):
    said = a_hello(**hello)
    return (await house.reception.welcome(Talk(said), said)).zones


async def test_each_agent_is_told_the_zones_of_its_nodes():
    async with opened_house() as house:
        talk = await house.come()
        await house.claim(talk, "nodes")
        await house.send(talk, node("n1", "z-1", 5), node("n2", "", 6))

        assert await zones_of(house, agent="node/n1", scope="node", node="n1", spool="s1") == {"n1": "z-1"}
        assert await zones_of(house, agent="node/n9", scope="node", node="n9", spool="s9") == {}
        assert await zones_of(house, agent="all") == {"n1": "z-1", "n2": ""}
        assert await zones_of(house, agent="cluster/a", scope="cluster", spool="sc") == {}
        assert await zones_in(house.journal)("n2") == {"n2": ""}
