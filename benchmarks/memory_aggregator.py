"""
`memory_aggregator`: what an aggregator holds in memory for each object of the cluster.

Two clusters of pods of 4 KB are listed by an agent, committed to an SQLite journal, and then change until what is of
one size for all, the ring of the feed and the bodies kept unpacked, is full in both. What the larger one takes more,
divided by the objects that it has more, is the value. The baseline is an object as the API server sends it: what
holding it as JSON would cost.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import daemons
from benchmarks.journal_file import journal_of, until_living
from benchmarks.memory import peak_bytes, resident_bytes, settled_bytes
from kubescribe.runtime.allocating import LOOK_SECONDS
from simulator.process import SimulatorProcess, simulator_process

PODS = (4_000, 10_000)
CHANGES = 45_000
RATE = 5_000.0
PATIENCE_SECONDS = 120.0
QUIET_SECONDS = LOOK_SECONDS + 3.0
"""What waited in the worst moment, which is the machine's affair, has been given back by then."""


async def measure(folder: Path) -> tuple[float, float]:
    """Return the KB for each object, of memory and of JSON."""
    sizes = [await _held(folder / str(pods), pods) for pods in PODS]
    (few, small, object_bytes), (many, large, _) = sizes
    return (large - small) / (many - few) / 1e3, object_bytes / 1e3


async def _held(folder: Path, pods: int) -> tuple[int, int, float]:
    """Return the objects that the aggregator has, the bytes that it holds, and the size of an object as JSON."""
    async with simulator_process(folder / "cluster", "--quiet", "--pods", str(pods)) as cluster:
        aggregator = daemons.aggregator(folder / "aggregator")
        async with daemons.running(aggregator), cluster.control() as control:
            await control.load(changes=1)
            await aggregator.start()
            base = resident_bytes(aggregator.pid)
            agent = daemons.agent(folder / "agent", kubeconfig=cluster.kubeconfig, ingest=aggregator.said["ingest"])
            async with daemons.running(agent):
                await agent.start()
                objects = await until_living(journal_of(aggregator.folder), pods)
                before = (await control.load(RATE))["changes"]
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while (await control.load())["changes"] - before < CHANGES:
                        await asyncio.sleep(0.5)
                await control.load(0)
                held, most = (
                    await settled_bytes(aggregator.pid, quiet_seconds=QUIET_SECONDS),
                    peak_bytes(aggregator.pid),
                )
        print(
            f"memory_aggregator: {objects} objects; base {base / 1e6:.1f} MB, held {held / 1e6:.1f} MB,"
            f" at most {most / 1e6:.1f} MB",
            file=sys.stderr,
        )
        return objects, held, await _object_bytes(cluster)


async def _object_bytes(cluster: SimulatorProcess) -> float:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {cluster.token}"}) as session,
        session.get(cluster.url + "/api/v1/pods", params={"limit": "100"}) as answer,
    ):
        return len(await answer.read()) / 100


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        value, baseline = uvloop.run(measure(Path(folder)))
    result = {
        "name": "memory_aggregator",
        "value": round(value, 2),
        "unit": "KB an object",
        "baseline": round(baseline, 2),
    }
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
