"""
`scrape`: how long `/metrics` of an aggregator takes with 20,000 pods, from the request to its last byte, compressed.

What the client does with 39 MB afterwards is its own time, so they are inflated when the clock has been read.

The journal is written by ingest itself (crowd.py). Then an aggregator opens it, and before each scrape an agent of each
node tells anew what its pods use, with other values, while some pods start again, go and come: as in life, where a
scrape interval is no shorter than that of usage. The median of ROUNDS scrapes counts. Baseline is prometheus_client
that writes and packs the same families. On stderr: series, CPU of a scrape and of what comes before it, stalls of the
loop in the scrapes and all the while.
"""

import asyncio
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import uvloop
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks import daemons
from benchmarks.crowd import PODS, crowd, fill
from benchmarks.whole_path import cpu_seconds

ROUNDS = 11
PATIENCE_SECONDS = 60.0
_STIRRED = {"restarts": 100, "goes": 50, "comes": 50}
_ACCEPT = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip"}


async def measure(folder: Path) -> tuple[float, float]:
    """Return the milliseconds of a scrape, and those of prometheus_client for the same."""
    await fill(folder / "aggregator" / "data" / "journal.db")
    aggregator = daemons.aggregator(folder / "aggregator")
    as_it_comes = aiohttp.ClientSession(auto_decompress=False)
    async with daemons.running(aggregator), aiohttp.ClientSession() as session, as_it_comes:
        await aggregator.start()
        url = aggregator.said["metrics"] + "/metrics"
        await _when_complete(session, url)
        async with crowd(aggregator.said["ingest"]) as agents:
            await agents.tell()
            text = await _when_told(session, url)
            before = _stalls(text)
            seconds, scraping, stalled, begin = [], 0.0, 0.0, cpu_seconds(aggregator.pid)
            for _ in range(ROUNDS):
                await agents.stir(**_STIRRED)
                await agents.tell()
                used, started = cpu_seconds(aggregator.pid), time.perf_counter()
                async with as_it_comes.get(url, headers=_ACCEPT) as answer:
                    body = await answer.read()
                seconds.append(time.perf_counter() - started)
                scraping += cpu_seconds(aggregator.pid) - used
                # A scrape tells of what was before it; so the next one, at once, tells of its stalls.
                async with session.get(url, headers=_ACCEPT) as answer:
                    text = await answer.text()
                stalled += _stalls(text) - _stalls(gzip.decompress(body).decode())
            between = cpu_seconds(aggregator.pid) - begin - 2 * scraping
            stalls = _stalls(text) - before
    series = sum(not line.startswith("#") for line in text.splitlines())
    print(
        f"scrape: {series} series, {len(text) / 1e6:.1f} MB; {scraping / ROUNDS * 1e3:.0f} ms of CPU each and"
        f" {between / ROUNDS * 1e3:.0f} ms before it (usage of all, changes of {sum(_STIRRED.values())} pods);"
        f" {stalled:g} stalls in {ROUNDS} scrapes, {stalls:g} all the while;"
        f" {min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f} ms",
        file=sys.stderr,
    )
    return statistics.median(seconds) * 1e3, _plain_seconds(text) * 1e3


async def _when_told(session: aiohttp.ClientSession, url: str) -> str:
    """Return the first answer in which everything is."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with session.get(url, headers=_ACCEPT) as answer:
                text = await answer.text()
            if text.count("\nkubescribe_pod_network_transmit_bytes_total{") == PODS:
                return text
            await asyncio.sleep(0.2)


async def _when_complete(session: aiohttp.ClientSession, url: str) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with session.get(url, headers=_ACCEPT) as answer:
                text = await answer.text()
            if _value(text, "kubescribe_roll_complete") == 1:
                return text
            await asyncio.sleep(0.2)


def _stalls(text: str) -> float:
    return _value(text, "kubescribe_loop_stalls_total")


def _value(text: str, name: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _plain_seconds(text: str) -> float:
    registry = CollectorRegistry()
    registry.register(_Families(list(text_string_to_metric_families(text))))
    started = time.perf_counter()
    gzip.compress(generate_latest(registry), 1)
    return time.perf_counter() - started


def main() -> None:
    """Print the result."""
    with tempfile.TemporaryDirectory() as folder:
        value, baseline = uvloop.run(measure(Path(folder)))
    result = {"name": "scrape", "value": round(value), "unit": "ms", "baseline": round(baseline)}
    print(json.dumps({**result, "ratio": round(value / baseline, 2)}))


if __name__ == "__main__":
    main()
