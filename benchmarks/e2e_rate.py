"""
`e2e_rate`: changes a second from an event of the API to a client of the feed, all processes on the same two cores.

A burst of 100,000 status updates of 2,000 pods of ~4.4 KB, more than the path sustains: the pretend cluster has written
them before it serves the first one, so that making them costs the path nothing and serving them does. Measured between
the first and the last change that the client receives, sync to disk, patches and rendering included; then every one of
them is looked at: each version once, in order, none by a list. The baseline is the limit beside it: the same burst of
the same cluster to a bare watcher that only counts lines. On stderr: what each process used.
"""

import json
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.whole_path import bare_watcher, check, pretend_cluster, whole_path

CHANGES = 100_000
PODS = 2_000


async def measure(folder: Path) -> tuple[float, float]:
    """Return (changes a second through the whole path, lines a second to the bare watcher)."""
    options = ("--pods", str(PODS), "--watcher-events", str(2 * CHANGES))
    async with pretend_cluster(folder, *options) as (cluster, control):
        async with bare_watcher(cluster) as until:
            await control.load(changes=CHANGES)
            bare = await until(CHANGES)
        async with whole_path(folder, cluster, control) as path:
            used, stalls = path.cpu_seconds(), await path.stalls()
            await control.load(changes=CHANGES)
            heard = await path.feed.until(CHANGES)
            used = {name: seconds - used[name] for name, seconds in path.cpu_seconds().items()}
            stalls = await path.stalls() - stalls
        check(heard, CHANGES)
    spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in used.items())
    print(f"e2e_rate: {heard.seconds:.1f} s; CPU seconds: {spent}; {stalls} stalls of the loop", file=sys.stderr)
    return CHANGES / heard.seconds, bare.changes / bare.seconds


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        value, baseline = uvloop.run(measure(Path(folder)))
    result = {"name": "e2e_rate", "value": round(value), "unit": "changes/s", "baseline": round(baseline)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
