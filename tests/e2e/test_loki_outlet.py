"""The aggregator is killed in the middle, and Loki has each event, end and change of the journal once."""

import asyncio
import signal
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from kubescribe.wire.times import to_rfc3339
from simulator.loki.app import running_loki
from simulator.loki.faults import Cut
from tests.e2e.processes import ANYWHERE, ask, pretend_cluster, running

pytestmark = pytest.mark.timeout(90)


async def until(holds, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.05)


async def test_a_killed_aggregator_loses_and_doubles_nothing_in_loki(tmp_path):
    async with running_loki() as loki:
        options = ("--data", str(tmp_path / "journal"), "--loki", loki.url)
        agent = ("--data", str(tmp_path / "agent"), "--metrics", "127.0.0.1:0", "--spool-free-floor", "0%")
        with ExitStack() as stack:
            enter = stack.enter_context
            cluster = await asyncio.to_thread(
                lambda: enter(pretend_cluster(tmp_path / "cluster", "--quiet", "--pods", "10", "--nodes", "2"))
            )
            first = await asyncio.to_thread(
                lambda: enter(running("aggregator", tmp_path / "first", *options, *ANYWHERE))
            )
            port = first.said["ingest"].rpartition(":")[2]
            agent = (*agent, "--kubeconfig", str(cluster.kubeconfig), "--aggregator", first.said["ingest"])
            await asyncio.to_thread(lambda: enter(running("agent", tmp_path / "agent", *agent)))
            await happen(cluster, 0)
            await until(lambda: "event-0" in _events(loki))

            loki.faults.cut(Cut.AFTER, 2)
            await happen(cluster, 1, 2, 3)
            await until(lambda: not loki.faults.pending)
            first.popen.send_signal(signal.SIGKILL)
            await asyncio.to_thread(first.popen.wait)
            there = ("--http", "127.0.0.1:0", "--ingest", f"127.0.0.1:{port}", "--metrics", "127.0.0.1:0")
            second = await asyncio.to_thread(
                lambda: enter(running("aggregator", tmp_path / "second", *options, *there))
            )
            await happen(cluster, 4)
            await until(lambda: "event-4" in _events(loki))

            url = second.said["http"].rstrip("/")
            told = await asyncio.to_thread(lambda: ask(f"{url}/api/v1/occurrences?limit=1000").json()["items"])
            events = Counter(item["name"] for item in told)
            await until(lambda: _events(loki) == events)
            lag = 'kubescribe_loki_outlet_lag_seconds{topic="occurrences"}'
            await until(lambda: not second.metric(lag))

        assert {f"event-{number}" for number in range(5)} <= set(events)
        assert _events(loki) == events
        assert {dict(stream.labels)["cluster"] for stream in loki.streams('{stream=~".+"}')} == {"pretend"}


async def happen(cluster, *numbers):
    """Let Events happen, each in a stream of its own."""
    async with cluster.control() as control:
        for number in numbers:
            about = {"kind": "Deployment", "namespace": "default", "name": f"app-{number}"}
            body = {"metadata": {"name": f"event-{number}", "namespace": "default"}, "involvedObject": about}
            when = to_rfc3339(time.time_ns())[:19] + "Z"
            await control.create("events", {**body, "reason": "Tested", "type": "Normal", "lastTimestamp": when})


def _events(loki):
    return Counter(dict(entry.metadata)["event"] for entry in loki.entries('{stream="event"}'))
