"""
`e2e_latency`: from the moment the pretend cluster wrote a version to its receipt by a client of the feed, p99, in ms.

1,000 status updates a second for 15 s; each version carries the nanosecond in which it was written, and its change
shows it. The feed's batch of 50 ms is included. The baseline is what no path could beat with that batch: 50 ms, and
the p99 of the same cluster at the same rate to a bare watcher that only reads.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.whole_path import bare_watcher, check, feed_latencies, pretend_cluster, watch_latencies, whole_path
from simulator.control import Control

RATE = 1_000.0
SECONDS = 15.0
BARE_SECONDS = 5.0
PODS = 2_000
FEED_BATCH_MS = 50.0


async def measure(folder: Path) -> tuple[float, float]:
    """Return the p99 of the path and of the bare watcher, milliseconds."""
    async with pretend_cluster(folder, "--pods", str(PODS)) as (cluster, control):
        async with bare_watcher(cluster) as until:
            bare = watch_latencies(await until(await _load(control, BARE_SECONDS)))
        async with whole_path(folder, cluster, control) as path:
            used, stalls = path.cpu_seconds(), await path.stalls()
            changes = await _load(control, SECONDS)
            heard = await path.feed.until(changes)
            used = {name: seconds - used[name] for name, seconds in path.cpu_seconds().items()}
            stalls = await path.stalls() - stalls
        check(heard, changes)
    latencies = feed_latencies(heard)
    if len(latencies) != changes:
        raise RuntimeError(f"{changes} changes came, {len(latencies)} told when they were written")
    spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items())
    print(
        f"e2e_latency: {changes} changes, p50 {_at(latencies, 0.5):.1f}, p99 {_at(latencies, 0.99):.1f}, most"
        f" {latencies[-1]:.1f} ms (bare watcher: p50 {_at(bare, 0.5):.1f}, p99 {_at(bare, 0.99):.1f} ms);"
        f" CPU seconds: {spent}; {stalls} stalls of the loop",
        file=sys.stderr,
    )
    return _at(latencies, 0.99), _at(bare, 0.99)


async def _load(control: Control, seconds: float) -> int:
    """Let the load run for *seconds*; return how many changes it made."""
    before = (await control.load())["changes"]
    await control.load(RATE)
    await asyncio.sleep(seconds)
    return int((await control.load(0))["changes"] - before)


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        value, bare = uvloop.run(measure(Path(folder)))
    baseline = FEED_BATCH_MS + bare
    result = {"name": "e2e_latency", "value": round(value, 1), "unit": "p99 ms", "baseline": round(baseline, 1)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
