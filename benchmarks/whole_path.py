"""
The whole path as processes, for the benches that measure it: pretend cluster, agent, aggregator, a client of the feed.

The client is this process and costs little: whole messages are kept with the time of their receipt and read when the
measuring is over. So is the bare watcher, the baseline: it hears the same cluster and only counts.
"""

import asyncio
import os
import re
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp

from benchmarks import daemons
from simulator.control import Control
from simulator.load import WRITTEN
from simulator.process import SimulatorProcess, simulator_process

_CHANGE = b'{"type":"change","seq":'
_DELTA = re.compile(rb'\{"type":"delta","id":"all","prev":(\d+),"seq":(\d+),')
_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
_WRITTEN_IN_FEED = re.compile(rb'"new":"' + WRITTEN.encode() + rb'(\d+)"')
_WRITTEN_IN_WATCH = re.compile(rb'"message":"' + WRITTEN.encode() + rb'(\d+)"')
_STALLS = re.compile(r"^kubescribe_loop_stalls_total ([\d.e+]+)$", re.MULTILINE)
_START_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0


class PathBroken(Exception):
    """The path did not do what is measured: something is missing, out of order, or was listed again."""


@dataclass(slots=True)
class Heard:
    """Messages and when each was received, nanoseconds since the Unix epoch; `changes` is how many they hold."""

    messages: list[bytes] = field(default_factory=list)
    at: "array[int]" = field(default_factory=lambda: array("q"))
    changes: int = 0

    @property
    def seconds(self) -> float:
        """Between the first and the last message."""
        return (self.at[-1] - self.at[0]) / 1e9 if self.at else 0.0

    def latencies(self, written: re.Pattern[bytes]) -> list[float]:
        """Return the milliseconds from each version's being written to its receipt, sorted."""
        return sorted(
            (at - int(stamp)) / 1e6
            for message, at in zip(self.messages, self.at, strict=True)
            for stamp in written.findall(message)
        )


class FeedClient:
    """A subscriber to all changes, over a websocket. What it hears is `heard`."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[Literal[False]]") -> None:
        self._socket = socket
        self.heard = Heard()
        self.is_live = asyncio.Event()

    async def listen(self) -> None:
        """Subscribe and hear, for ever."""
        await self._socket.send_json({"type": "hello", "client": "bench"})
        await self._socket.send_json({"type": "subscribe", "id": "all", "topic": "changes", "from": "now"})
        async for message in self._socket:
            data, at, heard = message.data, time.time_ns(), self.heard
            if data.startswith(b'{"type":"delta"'):
                heard.messages.append(data)
                heard.at.append(at)
                heard.changes += data.count(_CHANGE)
            elif data.startswith(b'{"type":"bookmark"'):
                self.is_live.set()
            elif data.startswith((b'{"type":"error"', b'{"type":"gap"', b'{"type":"bye"')):
                raise PathBroken(f"the feed said {data[:300]!r}")
        raise PathBroken("the feed ended")

    def begin(self) -> None:
        """Forget what was heard."""
        self.heard = Heard()

    async def until(self, changes: int) -> Heard:
        """Wait until *changes* were heard since `begin`, and return them."""
        await _until(lambda: self.heard.changes >= changes, lambda: f"{self.heard.changes} of {changes} changes came")
        return self.heard


@dataclass(slots=True, kw_only=True)
class WholePath:
    """Everything that runs."""

    cluster: SimulatorProcess
    control: Control
    aggregator: daemons.Daemon
    agent: daemons.Daemon
    feed: FeedClient

    def cpu_seconds(self) -> dict[str, float]:
        """Return what each process has used so far, this one included."""
        pids = {
            "cluster": self.cluster.pid,
            "agent": self.agent.pid,
            "aggregator": self.aggregator.pid,
            "client": os.getpid(),
        }
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    async def stalls(self) -> int:
        """Return how often the aggregator's loop stalled so far."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.aggregator.said["metrics"] + "/metrics") as answer,
        ):
            found = _STALLS.search(await answer.text())
        return int(float(found[1])) if found else 0


@asynccontextmanager
async def pretend_cluster(folder: Path, *options: str) -> AsyncIterator[tuple[SimulatorProcess, Control]]:
    """Run a cluster that has nothing but the load's pods; each of them has been changed once."""
    async with simulator_process(folder / "cluster", "--quiet", *options) as cluster, cluster.control() as control:
        await control.load(changes=1)
        yield cluster, control


@asynccontextmanager
async def whole_path(folder: Path, cluster: SimulatorProcess, control: Control) -> AsyncIterator[WholePath]:
    """Start agent and aggregator beside *cluster*, and a client of the feed that has heard a change come through."""
    aggregator = daemons.aggregator(folder / "aggregator")
    async with daemons.running(aggregator), aiohttp.ClientSession() as session:
        await aggregator.start()
        agent = daemons.agent(folder / "agent", kubeconfig=cluster.kubeconfig, ingest=aggregator.said["ingest"])
        url = aggregator.said["http"].rstrip("/") + "/api/v1/feed"
        async with daemons.running(agent), listening(session, url) as feed:
            await agent.start()
            await _flowing(control, feed)
            yield WholePath(cluster=cluster, control=control, aggregator=aggregator, agent=agent, feed=feed)


@asynccontextmanager
async def bare_watcher(cluster: SimulatorProcess) -> AsyncIterator[Callable[[int], "asyncio.Future[Heard]"]]:
    """Watch the pods of *cluster* and only count lines; what is yielded waits for so many of them."""
    heard = Heard()
    headers = {"Authorization": f"Bearer {cluster.token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=2**20) as session,
        session.get(cluster.url + "/api/v1/pods", params={"limit": "1"}) as listed,
    ):
        version = (await listed.json())["metadata"]["resourceVersion"]
        query = {"watch": "1", "resourceVersion": version}
        async with session.get(cluster.url + "/api/v1/pods", params=query) as response:

            async def count() -> None:
                async for chunk in response.content.iter_any():
                    heard.messages.append(chunk)
                    heard.at.append(time.time_ns())
                    heard.changes += chunk.count(b"\n")

            async def until(lines: int) -> Heard:
                await _until(lambda: heard.changes >= lines, lambda: f"{heard.changes} of {lines} lines came")
                return heard

            counting = asyncio.create_task(count(), name="bare watcher")
            try:
                yield lambda lines: asyncio.ensure_future(until(lines))
            finally:
                counting.cancel()
                await asyncio.wait([counting])


def check(heard: Heard, changes: int, *, is_ordered: bool = True) -> None:
    """
    Raise PathBroken unless *heard* is *changes* changes, each version once, chained, none listed.

    In the order of their versions if *is_ordered*, as only one stream gives them.
    """
    last = None
    versions: list[int] = []
    for message in heard.messages:
        head = _DELTA.match(message)
        if head is None:
            raise PathBroken(f"a delta begins with {message[:100]!r}")
        if last is not None and int(head[1]) != last:
            raise PathBroken(f"a delta follows {int(head[1])}, the one before it ended at {last}")
        last = int(head[2])
        if b'"listed":true' in message:
            raise PathBroken("a change was listed: the watch was lost")
        versions += map(int, _VERSION.findall(message))
    if len(versions) != changes or heard.changes != changes:
        raise PathBroken(f"{changes} changes were made, {len(versions)} came")
    if len(set(versions)) != changes or (is_ordered and versions != list(range(versions[0], versions[0] + changes))):
        raise PathBroken("versions came out of order, twice or not at all")


def feed_latencies(heard: Heard) -> list[float]:
    """Return the milliseconds from the cluster's write to the feed client's receipt, sorted."""
    return heard.latencies(_WRITTEN_IN_FEED)


def watch_latencies(heard: Heard) -> list[float]:
    """Return the milliseconds from the cluster's write to the bare watcher's receipt, sorted."""
    # A line may have come in two pieces; the later one is when it was whole.
    joined = Heard()
    rest = b""
    for chunk, at in zip(heard.messages, heard.at, strict=True):
        whole, _, rest = (rest + chunk).rpartition(b"\n")
        joined.messages.append(whole)
        joined.at.append(at)
    return joined.latencies(_WRITTEN_IN_WATCH)


@asynccontextmanager
async def listening(session: aiohttp.ClientSession, url: str) -> AsyncIterator[FeedClient]:
    """Let a client hear the feed at *url* while the block runs; what it fails with is raised at the end."""
    async with session.ws_connect(url, protocols=("kubescribe.feed.v1",), max_msg_size=0, decode_text=False) as socket:
        feed = FeedClient(socket)
        listening = asyncio.create_task(feed.listen(), name="feed client")
        try:
            yield feed
        finally:
            listening.cancel()
            await asyncio.wait([listening])
        if not listening.cancelled() and (error := listening.exception()) is not None:
            raise error


async def _flowing(control: Control, feed: FeedClient) -> None:
    """Wait until what the cluster writes comes out at the feed, watched and not listed; then until it is quiet."""
    deadline = time.monotonic() + _START_SECONDS
    while not (feed.heard.messages and b'"listed":false' in feed.heard.messages[-1]):
        if time.monotonic() > deadline:
            raise PathBroken(f"nothing came through within {_START_SECONDS:g} s")
        await control.load(changes=1)
        await asyncio.sleep(0.25)
    heard = -1
    while heard != feed.heard.changes:
        heard = feed.heard.changes
        await asyncio.sleep(0.5)
    feed.begin()


async def _until(condition: Callable[[], bool], tell: Callable[[], str]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise PathBroken(tell())
        await asyncio.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
