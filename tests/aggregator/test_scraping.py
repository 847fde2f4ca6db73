"""/metrics answers whenever the aggregator listens: while it starts, works, cannot write, and stops."""

import asyncio

import aiohttp
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from aggregator.app import assembled
from aggregator.config import AggregatorConfig
from aggregator.errors import StoreUnavailable
from aggregator.store.memory import MemoryJournal
from kubescribe.runtime.settings import build
from kubescribe.runtime.tasks import run_parts
from kubescribe.runtime.values import HostPort


def settings(**others) -> AggregatorConfig:
    free = HostPort("127.0.0.1", 0)
    values = {"store.url": "memory", "http.listen": free, "ingest.listen": free, "metrics": free}
    return build(AggregatorConfig, values | others)


async def told(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Return the samples without labels; the answer must be one."""
    async with session.get(url + "/metrics") as answer:
        assert answer.status == 200
        families = text_string_to_metric_families(await answer.text())
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


async def until(session: aiohttp.ClientSession, url: str, name: str, value: float) -> dict[str, float]:
    async with asyncio.timeout(20):
        while (samples := await told(session, url))[name] != value:
            await asyncio.sleep(0.01)
    return samples


async def test_a_scrape_is_answered_from_the_first_moment_to_the_last() -> None:
    stop = asyncio.Event()
    async with assembled(settings(), CollectorRegistry()) as aggregator, aiohttp.ClientSession() as session:
        url = aggregator.metrics_url
        assert (await told(session, url))["kubescribe_roll_complete"] == 0

        running = asyncio.create_task(run_parts(stop, aggregator.parts))
        samples = await until(session, url, "kubescribe_roll_complete", 1)
        assert samples["kubescribe_journal_writable"] == 1
        stop.set()
        await running

        assert (await told(session, url))["kubescribe_roll_complete"] == 1


async def test_a_full_disk_is_told_and_waited_out(monkeypatch) -> None:
    full, stop = [True], asyncio.Event()
    commit = MemoryJournal.commit

    async def committing(self, plan):
        if full[0]:
            raise StoreUnavailable("disk full")
        await commit(self, plan)

    monkeypatch.setattr(MemoryJournal, "commit", committing)
    async with assembled(settings(), CollectorRegistry()) as aggregator, aiohttp.ClientSession() as session:
        running = asyncio.create_task(run_parts(stop, aggregator.parts))
        samples = await until(session, aggregator.metrics_url, "kubescribe_journal_writable", 0)
        assert samples["kubescribe_roll_complete"] == 0

        full[0] = False
        await until(session, aggregator.metrics_url, "kubescribe_roll_complete", 1)
        stop.set()
        await running
