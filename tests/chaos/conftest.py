"""A cluster, an aggregator and an agent as processes, and the questions that every test asks of them at the end."""

import asyncio
import json
import sqlite3
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import daemons
from kubescribe.wire.times import from_rfc3339
from simulator import process
from simulator.control import Control
from simulator.process import SimulatorProcess, simulator_process
from tests import nursery
from tests.chaos.oracle import Finding, Lost, judge

BOOKMARK_SECONDS = 0.5


@dataclass
class Rig:
    """Everything that runs."""

    cluster: SimulatorProcess
    control: Control
    aggregator: daemons.Daemon
    agent: daemons.Daemon
    since: int = 0

    @property
    def journal(self) -> Path:
        return self.aggregator.folder / "data" / "journal.db"

    def ask(self, sql: str) -> list[tuple]:
        connection = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def resume_points(self) -> dict[str, tuple[int, int]]:
        return {name: (epoch, rv) for name, epoch, rv in self.ask("SELECT name, epoch, resource_version FROM streams")}

    def recorded(self, epoch: int = 0) -> int:
        """Return how many versions the journal holds, of one epoch if it is given."""
        of_epoch = f" WHERE epoch = {int(epoch)}" if epoch else ""
        return int(self.ask(f"SELECT count(*) FROM changes{of_epoch}")[0][0])

    async def until_recorded(self, more: int, seconds: float = 60.0) -> None:
        """Wait until the journal holds so many versions more than now: the load goes through everything."""
        wanted = self.recorded() + more
        await eventually(lambda: self.recorded() >= wanted, seconds, lambda: f"{self.recorded()} of {wanted} versions")

    async def until_written(self, more: int, seconds: float = 60.0) -> None:
        """Wait until the cluster has written so many versions more than now, whoever sees them."""
        wanted = (await self.control.state())["revision"] + more
        async with asyncio.timeout(seconds):
            while (await self.control.state())["revision"] < wanted:
                await asyncio.sleep(0.05)

    def has(self, resource_version: int) -> bool:
        """Tell whether a change with this version is in the journal."""
        return self.ask(f"SELECT 1 FROM changes WHERE resource_version = {int(resource_version)}") != []

    def gaps(self) -> list[dict]:
        """Return each gap as it was last told, by the API; nothing else runs in this process meanwhile."""
        path, gaps = "/api/v1/gaps?limit=1000", []
        while path:
            with urllib.request.urlopen(self.aggregator.said["http"] + path) as answer:
                page = json.load(answer)
            gaps += page["items"]
            path = page["next"]
        return gaps

    def fetch(self, path: str) -> dict:
        """Return what the API answers."""
        with urllib.request.urlopen(self.aggregator.said["http"] + path) as answer:
            return json.load(answer)

    def lost(self) -> list[Lost]:
        """Return the gaps that are lost or open."""
        return [
            Lost(gap["stream"], from_rfc3339(gap["from"]), from_rfc3339(gap["to"]) if gap["to"] else 2**63)
            for gap in self.gaps()
            if gap["outcome"] != "recovered"
        ]

    async def until_synced(self, *, epoch: int = 1, seconds: float = 60.0) -> int:
        """Wait until the journal has everything that the cluster has written; return that revision."""
        history = await self.control.history()
        last: dict[str, int] = {}
        for record in history:
            if record.era == epoch - 1 and record.resource:
                name = record.resource.partition(".")[0]
                last[name] = max(last.get(name, 0), record.revision)
        deadline = time.monotonic() + seconds
        while behind := self._behind(last, epoch):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds:g} s: behind: {behind}")
            # What is churn moves a stream's version with the next bookmark only, which comes each minute by itself.
            await self.control.bookmark()
            await asyncio.sleep(BOOKMARK_SECONDS)
        return history[-1].revision

    def _behind(self, last: dict[str, int], epoch: int) -> dict[str, tuple]:
        points = {name.partition(".")[0].partition("/")[0]: point for name, point in self.resume_points().items()}
        return {
            name: (points.get(name), revision)
            for name, revision in last.items()
            if name in points and (points[name][0] < epoch or (points[name][0] == epoch and points[name][1] < revision))
        }

    async def judged(self, *, epoch: int = 1, with_gaps: bool = False) -> Finding:
        until = await self.until_synced(epoch=epoch)
        history = await self.control.history()
        gaps = self.lost() if with_gaps else None
        return await asyncio.to_thread(
            judge, history, self.journal, since=self.since, until=until, gaps=gaps, era=epoch - 1
        )


def metric(daemon: daemons.Daemon, name: str) -> float:
    """Return a daemon's number without labels."""
    with urllib.request.urlopen(daemon.said["metrics"] + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} "))


async def eventually(condition: Callable[[], bool], seconds: float, tell: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {tell()}")
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started here, again and again, is forked."""
    monkeypatch.setattr(daemons, "spawn", nursery.spawn)
    monkeypatch.setattr(process, "spawn", nursery.spawn)


@pytest.fixture
def rig(tmp_path):
    """Return a context that starts everything and waits until the journal holds the cluster's state."""

    @asynccontextmanager
    async def started(
        *options: str, agent_options: tuple[str, ...] = (), aggregator_options: tuple[str, ...] = ()
    ) -> AsyncIterator[Rig]:
        async with simulator_process(tmp_path / "cluster", *options) as cluster, cluster.control() as control:
            aggregator = daemons.aggregator(tmp_path / "aggregator", *aggregator_options)
            await aggregator.start()
            daemons.keep_ports(aggregator)
            agent = daemons.agent(
                tmp_path / "agent",
                kubeconfig=cluster.kubeconfig,
                ingest=aggregator.said["ingest"],
                options=agent_options,
            )
            async with daemons.running(aggregator, agent):
                await agent.start()
                it = Rig(cluster, control, aggregator, agent)
                await eventually(
                    lambda: len(points := it.resume_points()) >= 30 and all(rv for _, rv in points.values()),
                    60,
                    lambda: f"{it.resume_points()}",
                )
                it.since = await it.until_synced()
                yield it

    return started
