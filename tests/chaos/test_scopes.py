"""
Many agents, of which any is killed or stopped at any moment: one for each node, two for the rest, under load.

Held against the cluster's own history as everywhere: nothing is lost, nothing there twice, the state is the cluster's.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.fleet import Fleet, running_fleet

RATE = 200


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """Five nodes of the load with agents; those of the scenario have none and are adopted."""
    async with running_fleet(
        tmp_path,
        cluster_options=("--pods", "30", "--nodes", "3", "--seed", "3", "--window-events", "200000"),
        nodes=[f"node-{number:04d}" for number in range(5)],
        aggregator_options=("--adoption-after", "2s"),
    ) as made:
        yield made


async def hurt(fleet: Fleet, draw: random.Random) -> None:
    """Kill or stop somebody, and let it come back."""
    what = draw.choice(["node", "cluster", "cluster", "both", "aggregator", "stop"])
    if what == "stop":
        victim = draw.choice(fleet.agents)
        victim.suspend()
        await asyncio.sleep(draw.uniform(0.5, 4.0))
        victim.resume()
        return
    victims = {
        "node": [draw.choice(list(fleet.nodes.values()))],
        "cluster": [draw.choice(fleet.clusters)],
        "both": fleet.clusters,
        "aggregator": [fleet.rig.aggregator],
    }[what]
    await asyncio.gather(*(victim.kill() for victim in victims))
    await asyncio.sleep(draw.uniform(0.0, 4.0))
    await asyncio.gather(*(victim.start() for victim in victims))


async def shows_nothing_lost(fleet: Fleet, seed: int, rounds: int) -> None:
    draw = random.Random(seed)
    await fleet.rig.control.load(RATE)
    for _ in range(rounds):
        await asyncio.sleep(draw.uniform(0.1, 1.5))
        await hurt(fleet, draw)
    await fleet.rig.control.load(0)

    finding = await fleet.until_whole(60.0)

    assert finding.problems == []
    assert finding.judged > rounds * RATE * 0.3
    await fleet.until_settled()


@pytest.mark.timeout(300)
async def test_killing_and_stopping_any_of_many_agents_loses_nothing(fleet: Fleet) -> None:
    await shows_nothing_lost(fleet, seed=1, rounds=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(200, 205))
async def test_killing_and_stopping_them_for_long_loses_nothing(fleet: Fleet, seed: int) -> None:
    await shows_nothing_lost(fleet, seed, rounds=60)
