"""
`make bench-agents`: an agent for each of 200 nodes, at 1,000 changes a second; what it costs whom, and how late it is.

The pretend cluster, the aggregator and the agents share this machine's cores, the agents 50 to a process. First all of
them start at once; then comes a steady time; then the aggregator is told to stop and starts again under load, and all
200 come back at once. Every change must be in the journal at the end, once, and no gap be left. Of what has no limit
the baseline is null.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.fleet import Fleet, Requests, fleet
from benchmarks.journal_file import until_living
from benchmarks.memory import peak_bytes
from benchmarks.whole_path import check, feed_latencies, listening

NODES = 200
PODS = 4_000
PACKS = 4
RATE = 1_000.0
STEADY_SECONDS = 30.0
LIMIT_SECONDS = 170.0
"""Of all that follows the set-up."""

FEED_BATCH_MS = 50.0
LAG_LIMIT_MS = 150.0
"""Of the path with one agent; see `e2e_latency`."""
AGENT_LIMIT_MB = 75.0
RETURN_LIMIT_SECONDS = 15.0


async def measure(folder: Path) -> None:
    """Print every figure."""
    async with fleet(folder, nodes=NODES, pods=PODS, packs=PACKS) as it, asyncio.timeout(LIMIT_SECONDS):
        await _start(it)
        await _steady(it)
        await _return(it)
        # The first change was made before anybody watched: it is in the lists.
        await it.until_there(PODS - 1 + (await it.control.load(0))["changes"])
        tell("memory_agent", it.agent_bytes() / 1e6, "MB an agent", AGENT_LIMIT_MB)
        tell("memory_aggregator", peak_bytes(it.aggregator.pid) / 1e6, "MB")


async def _start(it: Fleet) -> None:
    began = time.monotonic()
    await it.leader.start()
    await asyncio.gather(*(pack.start() for pack in it.packs))
    await it.until_connected()
    await until_living(it.journal, PODS + NODES)
    await it.until_live()
    tell("start", time.monotonic() - began, "s")
    _tell_requests("start", await it.requests(), "requests")
    if troubles := await it.troubles():
        raise RuntimeError(f"{len(troubles)} troubles at the start: {troubles[:5]}")


async def _steady(it: Fleet) -> None:
    async with listening(it.session, it.feed) as feed:
        await feed.is_live.wait()
        await _load(it, 2.0)
        await asyncio.sleep(1.0)
        feed.begin()
        asked, used, began = await it.requests(), it.cpu_seconds(), time.monotonic()
        changes = await _load(it, STEADY_SECONDS)
        heard = await feed.until(changes)
        seconds = time.monotonic() - began
        spent = {name: (now - used[name]) / seconds for name, now in it.cpu_seconds().items()}
    latencies = feed_latencies(heard)
    check(heard, changes, is_ordered=False)
    tell("lag_p50", at(latencies, 0.5), "ms", FEED_BATCH_MS)
    tell("lag_p99", at(latencies, 0.99), "ms", LAG_LIMIT_MS)
    for name, share in spent.items():
        tell(f"cpu_{name}", share, "CPU s/s")
    _tell_requests("steady", await it.requests() - asked, f"requests in {STEADY_SECONDS:g} s")
    if troubles := await it.troubles():
        raise RuntimeError(f"{len(troubles)} troubles in the steady time: {troubles[:5]}")


async def _return(it: Fleet) -> None:
    await it.control.load(RATE)
    await asyncio.sleep(3.0)
    await it.aggregator.terminate()
    await asyncio.sleep(2.0)
    await it.aggregator.start()
    began = time.monotonic()
    await it.until_connected()
    connected_at = time.time_ns()
    tell("return_connected", time.monotonic() - began, "s", RETURN_LIMIT_SECONDS)
    await it.until_complete(connected_at)
    tell("return_caught_up", time.monotonic() - began, "s", RETURN_LIMIT_SECONDS)
    await it.until_whole()
    tell("return_whole", time.monotonic() - began, "s")


async def _load(it: Fleet, seconds: float) -> int:
    before = (await it.control.load())["changes"]
    await it.control.load(RATE)
    await asyncio.sleep(seconds)
    return int((await it.control.load(0))["changes"] - before)


def _tell_requests(when: str, asked: Requests, unit: str) -> None:
    for (verb, resource), count in sorted(asked.items()):
        print(f"agents: {when}: {verb} {resource}: {count}", file=sys.stderr)
    tell(f"requests_{when}", asked.total(), unit)


def at(ascending: Sequence[float], share: float) -> float:
    """Return the value that *share* of all are not above."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def tell(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """Print one figure."""
    line = {"name": f"agents_{name}", "value": round(value, 2), "unit": unit, "baseline": baseline}
    print(json.dumps({**line, "ratio": round(value / baseline, 2) if baseline else None}), flush=True)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
