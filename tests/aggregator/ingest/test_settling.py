"""What is in doubt is asked of the cluster agent that leads, after a while, and again when it stays in doubt."""

import pytest

from aggregator.ingest import adopting as adopting_module
from kubescribe.wire.records import Departed
from tests.aggregator.ingest.house import SECOND, a_pod, opened_house, until


@pytest.fixture
async def house(monkeypatch):
    monkeypatch.setattr(adopting_module, "TICK_SECONDS", 0.01)
    async with opened_house() as opened:
        yield opened


def departed(name: str, rv: int) -> Departed:
    return Departed(
        stream="pods/unscheduled",
        term=1,
        kind="Pod",
        uid=f"pod-{name}",
        resource_version=rv,
        observed_at=rv * SECOND,
        namespace="shop",
        name=name,
    )


async def asked(talk, times: int) -> None:
    async def is_asked() -> bool:
        return len(talk.asked) >= times

    await until(is_asked)


async def test_the_leader_is_asked_for_a_pod_that_stays_in_doubt_until_it_tells(house):
    await house.cluster_agent("b", leads=False)
    leader = await house.cluster_agent("a")
    await house.send(leader, a_pod("web", 10), departed("web", 20))
    await asked(leader, 1)
    doubt = leader.asked[0]
    assert (doubt.kind, doubt.namespace, doubt.name, doubt.uid) == ("Pod", "shop", "web", "pod-web")
    assert (doubt.resource_version, doubt.after) == (20, 0)

    await asked(leader, 2)  # it did not tell
    await house.send(leader, a_pod("web", 20, gone=True, listed=True))
    assert await house.alive() == []
    assert house.pipeline.ledger.doubts == {}


async def test_a_pod_that_is_bound_at_once_is_not_asked_for(house):
    leader = await house.cluster_agent()
    agent = await house.node_agent("n1")
    await house.send(leader, a_pod("web", 10), departed("web", 20), a_pod("db", 11), departed("db", 21))
    await house.send(agent, a_pod("web", 20, node="n1"))
    await asked(leader, 1)

    assert {doubt.name for doubt in leader.asked} == {"db"}


async def test_without_a_leader_the_doubt_waits_for_one(house):
    first = await house.cluster_agent("a")
    await house.send(first, a_pod("web", 10), departed("web", 20))
    await house.reception.gone(first)
    second = await house.cluster_agent("b")

    await asked(second, 1)
    assert second.asked[0].name == "web"
