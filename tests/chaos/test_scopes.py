"""
Many agents, of which any is killed or stopped at any moment: one for each node, two for the rest, under load.

Held against the cluster's own history as everywhere: nothing is lost, nothing there twice, the state is the cluster's.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from benchmarks import daemons
from simulator.control import Control
from simulator.process import SimulatorProcess, simulator_process
from tests.chaos.conftest import Rig, eventually
from tests.chaos.oracle import Finding, judge

RATE = 200
QUICK = ("--election-lease", "2s", "--election-renew", "200ms", "--election-deadline", "1s")


@dataclass
class Fleet:
    """Everything that runs; `rig` asks the questions."""

    rig: Rig
    nodes: list[daemons.Daemon]
    clusters: list[daemons.Daemon]

    @property
    def agents(self) -> list[daemons.Daemon]:
        return [*self.nodes, *self.clusters]

    async def finding(self) -> Finding:
        history = await self.rig.control.history()
        return await asyncio.to_thread(
            judge, history, self.rig.journal, since=self.rig.since, until=history[-1].revision
        )

    async def until_whole(self, seconds: float) -> Finding:
        """Wait until the journal is what the cluster's history says; return what is wrong at the end."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (finding := await self.finding()).problems and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(1.0)
        return finding


async def nodes_of(cluster: SimulatorProcess) -> list[str]:
    headers = {"Authorization": f"Bearer {cluster.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{cluster.url}/api/v1/nodes") as answer:
        return [item["metadata"]["name"] for item in (await answer.json())["items"]]


@pytest_asyncio.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            simulator_process(
                tmp_path / "cluster", "--pods", "30", "--nodes", "3", "--seed", "3", "--window-events", "200000"
            )
        )
        control: Control = await stack.enter_async_context(cluster.control())
        aggregator = daemons.aggregator(tmp_path / "aggregator", "--adoption-after", "2s")
        await aggregator.start()
        daemons.keep_ports(aggregator)

        def agent(name: str, *options: str) -> daemons.Daemon:
            ingest = aggregator.said["ingest"]
            return daemons.agent(tmp_path / name, kubeconfig=cluster.kubeconfig, ingest=ingest, options=options)

        # The load's pods are of nodes with agents; those of the scenario have none and are adopted.
        names = [f"node-{number:04d}" for number in range(5)]
        nodes = [agent(name, "--scope", "node", "--node", name) for name in names]
        streams = {f"pods/node={name}" for name in (*names, *await nodes_of(cluster))}
        pair = [agent(name, "--scope", "cluster", "--election-identity", name, *QUICK) for name in ("one", "other")]
        await stack.enter_async_context(daemons.running(aggregator, *nodes, *pair))
        await asyncio.gather(*(it.start() for it in (*nodes, *pair)))
        made = Fleet(Rig(cluster, control, aggregator, nodes[0]), nodes, pair)
        await eventually(
            lambda: streams < set(points := made.rig.resume_points()) and all(rv for _, rv in points.values()),
            60,
            lambda: f"{made.rig.resume_points()}",
        )
        made.rig.since = int((await control.state())["revision"])
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
        "node": [draw.choice(fleet.nodes)],
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


@pytest.mark.timeout(300)
async def test_killing_and_stopping_any_of_many_agents_loses_nothing(fleet: Fleet) -> None:
    await shows_nothing_lost(fleet, seed=1, rounds=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(200, 205))
async def test_killing_and_stopping_them_for_long_loses_nothing(fleet: Fleet, seed: int) -> None:
    await shows_nothing_lost(fleet, seed, rounds=60)
