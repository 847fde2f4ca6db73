"""
A fleet for `make bench-agents`: a pretend cluster of many nodes, an agent for each, one for the rest, an aggregator.

Starting it, waiting for it, and what can be asked of it; not what is measured.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import daemons
from benchmarks.journal_file import ask, journal_of
from benchmarks.lagging import StreamState, lagging, last_warnings, told
from benchmarks.memory import resident_bytes
from benchmarks.whole_path import cpu_seconds
from simulator.control import Control
from simulator.process import SimulatorProcess, simulator_process

PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.2
_COMPLAINT_SECONDS = 20.0

Requests = Counter[tuple[str, str]]
"""By (verb, resource)."""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Everything that runs."""

    cluster: SimulatorProcess
    control: Control
    aggregator: daemons.Daemon
    leader: daemons.Daemon
    packs: Sequence[daemons.Daemon]
    nodes: Sequence[str]
    session: aiohttp.ClientSession

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return journal_of(self.aggregator.folder)

    @property
    def feed(self) -> str:
        """Where the feed is."""
        return self._api + "/feed"

    @property
    def _api(self) -> str:
        return str(self.aggregator.said["http"]).rstrip("/") + "/api/v1"

    def cpu_seconds(self) -> dict[str, float]:
        """Return what has been used so far."""
        return {
            "agents": sum(cpu_seconds(pack.pid) for pack in self.packs),
            "leader": cpu_seconds(self.leader.pid),
            "aggregator": cpu_seconds(self.aggregator.pid),
            "cluster": cpu_seconds(self.cluster.pid),
        }

    def agent_bytes(self) -> float:
        """Return what the packs hold, for each agent in them."""
        return sum(resident_bytes(pack.pid) for pack in self.packs) / len(self.nodes)

    async def items(self, path: str) -> list[dict[str, Any]]:
        """Return the items of a list of the API."""
        async with self.session.get(self._api + path) as answer:
            return list((await answer.json())["items"])

    async def requests(self) -> Requests:
        """Return what the API server was asked by the agents so far."""
        return requests_of(await self.control.detailed_requests())

    async def until_connected(self) -> None:
        """Wait until every agent is connected."""
        wanted = {f"node/{node}" for node in self.nodes}

        async def are() -> bool:
            here = {str(item["agent"]) for item in await self.items("/agents") if item["connected"]}
            return wanted <= here and any(name.startswith("cluster/") for name in here)

        await until(are, lambda: self._told_of_agents("not every agent is connected"))

    async def until_live(self) -> None:
        """Wait until every node's pods are watched and the journal has them."""

        async def are() -> bool:
            items = await self.items("/agents")
            live = sum(bool(stream["state"] == "live") for item in items if item["node"] for stream in item["streams"])
            return live == len(self.nodes)

        await until(are, lambda: self._told_of_agents("not every stream is live"))

    async def until_complete(self, at_ns: int, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the journal has what each node's stream, of which something changes all the time, saw to then."""

        async def are() -> bool:
            return not await self._late(at_ns)

        await until(are, lambda: self._told_of_streams(at_ns), seconds=seconds)

    async def _late(self, at_ns: int) -> list[StreamState]:
        rows = await asyncio.to_thread(ask, self.journal, _STREAMS)
        return lagging((StreamState(*row) for row in rows), self.nodes, at_ns)

    async def _told_of_streams(self, at_ns: int) -> str:
        late, now_ns = await self._late(at_ns), time.time_ns()
        items = await self.items("/agents")
        return "\n".join([*told(late, items, at_ns=at_ns, now_ns=now_ns, of=len(self.nodes)), *self._last_warnings()])

    async def _told_of_agents(self, complaint: str) -> str:
        items = await self.items("/agents")
        away = [str(item["agent"]) for item in items if not item["connected"]]
        dead = [
            f"{item['agent']}: {stream['name']} {stream['state']} {stream['detail'] or ''}"
            for item in items
            for stream in item["streams"]
            if stream["state"] != "live"
        ]
        return "\n".join(
            [
                f"{complaint}: {len(items)} agents, {len(away)} away {away[:10]}",
                f"  {len(dead)} streams not live: {dead[:10]}",
                *self._last_warnings(),
            ]
        )

    def _last_warnings(self) -> list[str]:
        found = []
        for daemon in (*self.packs, self.leader, self.aggregator):
            logged = warnings(daemon.output.read_text(errors="replace").splitlines())
            found += last_warnings(f"{daemon.role} in {daemon.folder.name}", logged)
        return found

    async def until_there(self, changes: int) -> None:
        """Wait until the journal has so many versions of the load's pods that were watched; raise if it has more."""

        async def are() -> bool:
            return versions(self.journal) >= changes

        async def complaint() -> str:
            return f"{versions(self.journal)} of {changes} changes are there"

        await until(are, complaint)
        if versions(self.journal) > changes:
            raise RuntimeError(f"{versions(self.journal)} versions are there, {changes} were made")

    async def until_whole(self) -> None:
        """Wait until no gap is open; raise if anything was lost."""

        async def is_whole() -> bool:
            gaps = await self.gaps()
            if lost := [gap for gap in gaps if gap.endswith(" lost")]:
                raise RuntimeError(f"{len(lost)} gaps are lost: {lost[:5]}")
            return not gaps

        async def complaint() -> str:
            gaps = await self.gaps()
            return "\n".join([f"{len(gaps)} gaps are still open: {gaps[:10]}", *self._last_warnings()])

        await until(is_whole, complaint)

    async def gaps(self) -> list[str]:
        """Return the gaps that are open or lost."""
        return [
            f"{gap['stream']} {gap['cause']} {gap['outcome']}"
            for gap in await self.items("/gaps?limit=1000")
            if gap["outcome"] != "recovered"
        ]

    async def troubles(self) -> list[str]:
        """Return the gaps that are open or lost, and what the agents and the aggregator logged as warnings."""
        found = await self.gaps()
        for daemon in (*self.packs, self.leader, self.aggregator):
            found += warnings(daemon.output.read_text(errors="replace").splitlines())
        return found


_STREAMS = "SELECT name, complete_at, holder, held_since FROM streams WHERE name LIKE 'pods/node=%'"

_VERSIONS = """SELECT count(DISTINCT c.resource_version) FROM changes AS c JOIN objects AS o ON o.id = c.object
    JOIN words AS w ON w.id = o.kind WHERE w.text = 'Pod' AND c.gone = 0"""


def versions(journal: Path) -> int:
    """Return how many versions of pods there are."""
    rows = ask(journal, _VERSIONS)
    return int(rows[0][0]) if rows else 0


def warnings(log: Iterable[str]) -> list[str]:
    """Return the lines of a log that are no information."""
    return [line[:300] for line in log if '"level": "info"' not in line]


def requests_of(rows: Iterable[dict[str, Any]]) -> Requests:
    """Return the agents' requests among those that a pretend cluster counted."""
    found: Requests = Counter()
    for row in rows:
        if row["userAgent"].startswith("kubescribe/"):
            found[row["verb"], row["resource"]] += row["count"]
    return found


async def until(
    condition: Callable[[], Awaitable[bool]],
    complaint: Callable[[], Awaitable[str]],
    *,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Wait until *condition* is met. Raises RuntimeError with *complaint* when it is not in time."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        try:
            async with asyncio.timeout(_COMPLAINT_SECONDS):
                text = await complaint()
        except (TimeoutError, aiohttp.ClientError) as error:
            # What did not become true may be because nobody answers.
            text = f"not within {seconds:g} s, and what there is could not be asked: {error!r}"
        raise RuntimeError(text) from None


@asynccontextmanager
async def fleet(folder: Path, *, nodes: int, pods: int, packs: int) -> AsyncIterator[Fleet]:
    """Run a cluster with its nodes and pods, and beside it a fleet that is not started yet."""
    names = [f"node-{number:04d}" for number in range(nodes)]
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            simulator_process(folder / "cluster", "--quiet", "--nodes", str(nodes), "--pods", str(pods))
        )
        control = await stack.enter_async_context(cluster.control())
        for name in names:
            await control.node(name)
        await control.load(changes=1)
        await control.forget_requests()
        aggregator = daemons.aggregator(folder / "aggregator")
        await stack.enter_async_context(daemons.running(aggregator))
        await aggregator.start()
        daemons.keep_ports(aggregator)
        token = folder / "token"
        token.write_text(cluster.token)
        ingest = aggregator.said["ingest"]
        leader = daemons.agent(
            folder / "leader", kubeconfig=cluster.kubeconfig, ingest=ingest, options=("--scope", "cluster")
        )
        shares = [names[number::packs] for number in range(packs)]
        each = [
            _pack(folder / f"pack-{number}", cluster.url, token, ingest=ingest, nodes=share)
            for number, share in enumerate(shares)
        ]
        await stack.enter_async_context(daemons.running(leader, *each))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Fleet(
            cluster=cluster,
            control=control,
            aggregator=aggregator,
            leader=leader,
            packs=each,
            nodes=names,
            session=session,
        )


def _pack(folder: Path, server: str, token: Path, *, ingest: str, nodes: Sequence[str]) -> daemons.Daemon:
    options = ("--server", server, "--token-file", str(token), "--aggregator", ingest, "--data", str(folder / "data"))
    command = (sys.executable, "-m", "benchmarks.agent_pack")
    return daemons.Daemon("agents", folder, [*options, "--nodes", *nodes], ready="pack.running", command=command)
