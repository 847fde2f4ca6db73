"""
`memory_agent`: the most that a node's agent holds in memory, in MB.

`kubescribe agent --scope node` as in a pod, with TLS to the API server and a link to a real aggregator: 110 pods of
4 KB, 20 changes a second of them, a list anew after an expiry, and an aggregator that goes away and comes back. The
baseline is a Python process that has imported kubernetes_asyncio's client and nothing else.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import daemons, in_pod
from benchmarks.journal_file import journal_of, until_living
from benchmarks.memory import peak_bytes, resident_bytes
from benchmarks.whole_path import pretend_cluster

PODS = 110
RATE = 20.0
SECONDS = 10.0
"""Of load: before the expiry, after it, and after the aggregator's return."""
PATIENCE_SECONDS = 30.0
NODE = "node-0000"

_SAMPLES = re.compile(r"^kubescribe_watch_(events|lists)_total(?:\{[^}]*\})? ([\d.e+]+)$", re.MULTILINE)

_BASELINE = """
from pathlib import Path
from kubernetes_asyncio import client, config
line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
print(int(line.split()[1]) * 1024)
"""


async def measure(folder: Path) -> int:
    """Return the bytes."""
    options = ("--nodes", "1", "--pods", str(PODS))
    async with pretend_cluster(folder, *options) as (cluster, control):
        account = await asyncio.to_thread(in_pod.make_account, folder / "account", cluster.token)
        aggregator = daemons.aggregator(folder / "aggregator")
        async with in_pod.pod(account, cluster.url) as pod, daemons.running(aggregator):
            await aggregator.start()
            daemons.keep_ports(aggregator)
            named = ("--scope", "node", "--node", NODE)
            agent = in_pod.agent(folder / "agent", pod, ingest=aggregator.said["ingest"], options=named)
            async with daemons.running(agent), aiohttp.ClientSession() as session:

                async def text(path: str) -> str:
                    async with session.get(agent.said["metrics"] + path) as answer:
                        return await answer.text() if answer.status == 200 else ""

                async def is_live() -> bool:
                    return bool(await text("/readyz"))

                await agent.start()
                await _until(is_live, "the agent is not ready")
                await until_living(journal_of(aggregator.folder), PODS)
                started = resident_bytes(agent.pid)
                await control.load(RATE)
                await asyncio.sleep(SECONDS)
                await control.expire("pods")
                await asyncio.sleep(SECONDS)
                await aggregator.terminate()
                await asyncio.sleep(1.0)
                await aggregator.start()
                await _until(is_live, "the agent did not come back to the aggregator")
                await asyncio.sleep(SECONDS)
                await control.load(0)
                most = peak_bytes(agent.pid)
                print(
                    f"memory_agent: live {started / 1e6:.1f} MB, at the end {resident_bytes(agent.pid) / 1e6:.1f} MB,"
                    f" at most {most / 1e6:.1f} MB",
                    file=sys.stderr,
                )
                check(await text("/metrics"), agent.output.read_text())
    return most


def check(metrics: str, log: str) -> None:
    """Raise RuntimeError unless the agent did what is measured: it listed twice, connected twice, saw the load."""
    counted: Counter[str] = Counter()
    for name, value in _SAMPLES.findall(metrics):
        counted[name] += int(float(value))
    seen = (counted["events"], counted["lists"], log.count('"link.connected"'))
    if not (seen[0] >= 2 * SECONDS * RATE and seen[1] == 2 and seen[2] == 2):
        raise RuntimeError(f"(events, lists, connections) are {seen}")


async def _until(condition: Callable[[], Awaitable[bool]], complaint: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise RuntimeError(complaint) from None


def baseline_bytes() -> int:
    """Return what the client library takes, imported."""
    return int(subprocess.run([sys.executable, "-c", _BASELINE], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        value = uvloop.run(measure(Path(folder))) / 1e6
    baseline = baseline_bytes() / 1e6
    result = {"name": "memory_agent", "value": round(value, 1), "unit": "MB", "baseline": round(baseline, 1)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
