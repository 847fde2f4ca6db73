"""
One node: its cluster, the agent that ships its lines to a Loki, and the aggregator that is told of what is lost.

With pods that come and go, and a shipper that pushes; and what was written of them and is neither in Loki nor told.
"""

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks import daemons
from kubescribe.wire.times import from_rfc3339
from simulator.control import Control
from simulator.logs.sequence import Account, numbered
from simulator.logs.writer import ContainerLog, LogOf
from simulator.loki.app import RunningLoki, running_loki
from simulator.loki.limits import unlimited
from simulator.process import simulator_process
from tests.kubescribe.gateway.house import snappy, stream

TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass
class Watched:
    """A cluster of one node, the agent that watches it and ships to `loki`, and an aggregator."""

    control: Control
    loki: RunningLoki
    agent: daemons.Daemon
    aggregator: daemons.Daemon
    logs: Path

    def pods_seen(self) -> int:
        """Return how many pods the agent has told the aggregator of."""
        path = "/api/v1/objects?kind=Pod&namespace=batch"
        with urllib.request.urlopen(self.aggregator.said["http"].rstrip("/") + path) as answer:
            return len(json.load(answer)["items"])

    def gaps(self) -> list[dict[str, Any]]:
        """Return what the journal says was lost of lines; times in nanoseconds."""
        found, path = [], "/api/v1/gaps?limit=1000"
        while path:
            with urllib.request.urlopen(self.aggregator.said["http"].rstrip("/") + path) as answer:
                page = json.load(answer)
            found += [gap for gap in page["items"] if gap["stream"].startswith("logs/")]
            path = page["next"]
        return [gap | {"from": from_rfc3339(gap["from"]), "to": from_rfc3339(gap["to"])} for gap in found]


@asynccontextmanager
async def watched(folder: Path, *options: str) -> AsyncIterator[Watched]:
    logs = folder / "pods"
    logs.mkdir()
    async with (
        simulator_process(folder / "cluster", "--quiet", "--nodes", "1") as cluster,
        cluster.control() as control,
        running_loki(unlimited()) as loki,
    ):
        await control.node("node-0")
        aggregator = daemons.aggregator(folder / "aggregator")
        await aggregator.start()
        agent = daemons.agent(
            folder / "agent",
            kubeconfig=cluster.kubeconfig,
            ingest=aggregator.said["ingest"],
            options=("--loki", loki.url, "--logs", str(logs), "--cluster", "eu", *options),
        )
        async with daemons.running(aggregator, agent):
            await agent.start()
            yield Watched(control, loki, agent, aggregator, logs)


LABELS = {"app.kubernetes.io/name": "reports", "app.kubernetes.io/part-of": "billing", "team": "finance"}
LOKI_LABELS = {"cluster": "eu", "namespace": "batch", "service_name": "reports", "application": "billing"}
"""None of which stands in a path."""

LINES_OF_A_POD = 3


async def make_pod(control: Control, name: str) -> str:
    """Make a pod that runs on the node, and return its uid."""
    spec = {"nodeName": "node-0", "containers": [{"name": "app", "image": "report:7"}]}
    made = await control.create(
        "pods", {"metadata": {"name": name, "namespace": "batch", "labels": LABELS}, "spec": spec}
    )
    return str(made["metadata"]["uid"])


def assert_named(loki: RunningLoki) -> None:
    """Check that every line went under its pod's names, not only those that a path or a shipper tells."""
    for each in loki.streams():
        assert dict(each.labels).items() >= LOKI_LABELS.items(), each.labels
    for entry in loki.entries():
        metadata = dict(entry.metadata)
        assert (metadata.get("meta"), metadata["image"], metadata["team"]) == (None, "report:7", "finance")


async def until(condition: Callable[[], bool], seconds: float, tell: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"not within {seconds:g} s: {tell()}")
        await asyncio.sleep(0.1)


async def until_nothing_is_left(left: Callable[[], object], progress: Callable[[], object], seconds: float) -> None:
    """Wait until *left* returns nothing, for *seconds* at most in which *progress* stays the same."""
    loop, known = asyncio.get_running_loop(), object()
    since = begun = loop.time()
    while what := left():
        # Looking takes its time; it is none in which nothing came.
        looked_at = loop.time()
        if (now := progress()) != known:
            known, since = now, looked_at
        if looked_at - since > seconds:
            pytest.fail(f"nothing new for {seconds:g} s: {what} left")
        # The pretend Loki is in this loop: looking through 400,000 lines must leave it time to answer.
        await asyncio.sleep(max(0.2, 2 * (loop.time() - begun)))
        begun = loop.time()


async def live_shortly(it: Watched, gate: asyncio.Semaphore, name: str, written: dict[str, int]) -> None:
    """Be a pod that writes three lines at once, is deleted after two seconds, and its files with it."""
    async with gate:
        uid = await make_pod(it.control, name)
        log = ContainerLog(it.logs, LogOf(namespace="batch", pod=name, uid=uid, container="app"))
        log.write(numbered(name, number) for number in range(LINES_OF_A_POD))
        written[name] = time.time_ns()
        await asyncio.sleep(2)
        await it.control.delete("pods", "batch", name)
        log.remove()


def untold(it: Watched, written: dict[str, int]) -> dict[str, list[int]]:
    """Return the lines that are neither in Loki nor covered by a Gap; no Gap is of a pod that is there."""
    account = Account()
    account.add(entry.line for entry in it.loki.entries())
    assert account.repeats == 0
    missing = account.missing(dict.fromkeys(written, LINES_OF_A_POD))
    gaps = [gap for gap in it.gaps() if gap["stream"].split("/")[1] in {"batch", "*"}] if missing else []
    for pod in {gap["stream"].split("/")[2] for gap in gaps} - {"*"}:
        assert pod in missing, gaps
    spans: dict[str, list[tuple[int, int]]] = {}
    for gap in gaps:
        spans.setdefault(gap["stream"].split("/")[2], []).append((gap["from"], gap["to"]))
    return {
        name: numbers
        for name, numbers in missing.items()
        if not any(start <= written[name] <= end for start, end in (*spans.get(name, ()), *spans.get("*", ())))
    }


async def until_told(it: Watched, written: dict[str, int], seconds: float) -> None:
    """Wait until every line has arrived, or a Gap covers it; for *seconds* at most without anything new."""
    left: dict[str, list[int]] = {}

    def look() -> list[str]:
        nonlocal left
        left = untold(it, written)
        return [f"{len(left)} pods", *sorted(left)[:10]] if left else []

    await until_nothing_is_left(look, lambda: (len(it.loki.entries()), len(left)), seconds)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


async def push_until_taken(session: aiohttp.ClientSession, url: str, pod: str, lines: range) -> None:
    """Push some lines as Promtail does, the same bytes again until they are taken."""
    now = time.time_ns()
    text = [numbered(pod, number).encode() for number in lines]
    body = snappy(stream(f'{{namespace="batch", pod="{pod}", container="app", job="mine"}}', *text, at=now))
    while True:
        try:
            async with session.post(f"{url}/loki/api/v1/push", data=body, timeout=TIMEOUT) as answer:
                if answer.status == 204:
                    return
        except (aiohttp.ClientError, TimeoutError, OSError):
            await asyncio.sleep(0.05)
