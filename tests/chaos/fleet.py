"""Many agents as processes: one for each node, two for the rest, an aggregator; and what is asked of all at the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks import daemons
from simulator.process import SimulatorProcess, simulator_process
from tests.chaos.conftest import Rig, eventually
from tests.chaos.oracle import Finding, judge

QUICK = ("--election-lease", "2s", "--election-renew", "200ms", "--election-deadline", "1s")


@dataclass
class Fleet:
    """Everything that runs; `rig` asks the questions."""

    rig: Rig
    nodes: dict[str, daemons.Daemon]
    clusters: list[daemons.Daemon] = field(default_factory=list)

    @property
    def agents(self) -> list[daemons.Daemon]:
        return [*self.nodes.values(), *self.clusters]

    def leader(self) -> daemons.Daemon:
        """Return the cluster agent that holds the pods without a node."""
        (holder,) = self.rig.ask("SELECT holder FROM streams WHERE name = 'pods/unscheduled'")[0]
        return next(it for it in self.clusters if holder in _spools(it))

    def alive(self) -> dict[str, str]:
        """Return the node of each pod that is alive for the journal, by name; nothing after a space is a name."""
        rows = self.rig.ask(
            "SELECT o.name, n.text FROM heads h JOIN objects o ON o.id = h.object JOIN words n ON n.id = h.node"
            " JOIN words k ON k.id = h.kind WHERE h.gone = 0 AND k.text = 'Pod'"
        )
        return dict(rows)

    def doubts(self) -> int:
        return int(self.rig.ask("SELECT count(*) FROM doubts")[0][0])

    def open_gaps(self) -> list[dict]:
        return [gap for gap in self.rig.gaps() if gap["outcome"] == "open"]

    async def finding(self, *, with_gaps: bool = False) -> Finding:
        history = await self.rig.control.history()
        gaps = self.rig.lost() if with_gaps else None
        return await asyncio.to_thread(
            judge, history, self.rig.journal, since=self.rig.since, until=history[-1].revision, gaps=gaps
        )

    async def until_whole(self, seconds: float, *, with_gaps: bool = False) -> Finding:
        """Wait until the journal is what the cluster's history says; return what is wrong at the end."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (finding := await self.finding(with_gaps=with_gaps)).problems and (
            asyncio.get_running_loop().time() < deadline
        ):
            await asyncio.sleep(1.0)
        return finding

    async def until_settled(self, seconds: float = 60.0) -> None:
        """Wait until nobody is in doubt and every gap is closed: made good, or known to be lost."""
        await eventually(
            lambda: not self.doubts() and not self.open_gaps(),
            seconds,
            lambda: f"{self.doubts()} doubts, open: {self.open_gaps()}",
        )


def _spools(daemon: daemons.Daemon) -> set[str]:
    """Return the spool ids that an agent's folder has and had."""
    identity = json.loads((daemon.folder / "data" / "spool" / "spool.json").read_text())
    return {identity["spoolId"], *identity.get("former", ())}


async def nodes_of(cluster: SimulatorProcess) -> list[str]:
    headers = {"Authorization": f"Bearer {cluster.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{cluster.url}/api/v1/nodes") as answer:
        return [item["metadata"]["name"] for item in (await answer.json())["items"]]


@asynccontextmanager
async def running_fleet(
    folder: Path,
    *,
    cluster_options: Sequence[str],
    nodes: Sequence[str],
    made: Sequence[str] = (),
    aggregator_options: Sequence[str] = (),
    agent_options: Sequence[str] = (),
) -> AsyncIterator[Fleet]:
    """
    Run a cluster, and agents for *nodes*, of which *made* are registered first; wait until every stream was listed.

    *agent_options* are those of the cluster agents too.
    """
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(simulator_process(folder / "cluster", *cluster_options))
        control = await stack.enter_async_context(cluster.control())
        for name in made:
            await control.node(name)
        aggregator = daemons.aggregator(folder / "aggregator", *aggregator_options)
        await stack.enter_async_context(daemons.running(aggregator))
        await aggregator.start()
        daemons.keep_ports(aggregator)

        def agent(name: str, *options: str) -> daemons.Daemon:
            ingest = aggregator.said["ingest"]
            return daemons.agent(
                folder / name, kubeconfig=cluster.kubeconfig, ingest=ingest, options=(*options, *agent_options)
            )

        of_nodes = {name: agent(name, "--scope", "node", "--node", name) for name in nodes}
        pair = [agent(name, "--scope", "cluster", "--election-identity", name, *QUICK) for name in ("one", "other")]
        streams = {f"pods/node={name}" for name in (*nodes, *await nodes_of(cluster))}
        fleet = Fleet(Rig(cluster, control, aggregator, next(iter(of_nodes.values()))), of_nodes, pair)
        await stack.enter_async_context(daemons.running(*fleet.agents))
        await asyncio.gather(*(it.start() for it in fleet.agents))
        await eventually(
            lambda: streams < set(points := fleet.rig.resume_points()) and all(rv for _, rv in points.values()),
            60,
            lambda: f"{fleet.rig.resume_points()}",
        )
        fleet.rig.since = int((await control.state())["revision"])
        yield fleet
