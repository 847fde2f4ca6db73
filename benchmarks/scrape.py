"""
`scrape`: how long `/metrics` of an aggregator takes with 20,000 pods, from the request to its last byte, compressed.

The journal is written by ingest itself: 100 namespaces, 1,000 Deployments, 400 nodes, each fourth pod with a sidecar,
requests and limits on each container. Then an aggregator opens it, an agent of each node tells what its pods use (every
tenth has a volume), and the median of ROUNDS scrapes counts. Baseline is prometheus_client that writes and packs the
same families. On stderr: series, CPU, stalls of the loop.
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

from aggregator.ingest.pipeline import Committed, Pipeline
from aggregator.store.sqlite.journal import SqliteJournal
from benchmarks import daemons
from benchmarks.whole_path import cpu_seconds
from kubescribe.wire.codec import decode_from_aggregator, encode_message
from kubescribe.wire.link import PROTOCOL_VERSION, Hello, Usage, Welcome
from kubescribe.wire.records import AnyRecord, Change
from kubescribe.wire.usage import Compute, ContainerUsage, Network, NodeUsage, PodUsage, Space, VolumeUsage

PODS = 20_000
WORKLOADS = 1_000
NAMESPACES = 100
NODES = 400
ROUNDS = 15
PATIENCE_SECONDS = 60.0
_BATCH = 1_000
_ACCEPT = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip"}


async def measure(folder: Path) -> tuple[float, float]:
    """Return the milliseconds of a scrape, and those of prometheus_client for the same."""
    await fill(folder / "aggregator" / "data" / "journal.db")
    aggregator = daemons.aggregator(folder / "aggregator")
    async with daemons.running(aggregator), aiohttp.ClientSession() as session:
        await aggregator.start()
        url = aggregator.said["metrics"] + "/metrics"
        await _when_complete(session, url)
        for node, pods in _by_node().items():
            await tell_usage(session, aggregator.said["ingest"], node, pods)
        text = await _when_told(session, url)
        before = _value(text, "kubescribe_loop_stalls_total")
        seconds, used = [], cpu_seconds(aggregator.pid)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            async with session.get(url, headers=_ACCEPT) as answer:
                body = await answer.read()
            seconds.append(time.perf_counter() - started)
        used = cpu_seconds(aggregator.pid) - used
        stalls = _value(body.decode(), "kubescribe_loop_stalls_total") - before
    series = sum(not line.startswith("#") for line in text.splitlines())
    print(
        f"scrape: {series} series, {len(text) / 1e6:.1f} MB, {used / ROUNDS * 1e3:.0f} ms of CPU each;"
        f" {stalls:g} stalls in {ROUNDS} scrapes",
        file=sys.stderr,
    )
    return statistics.median(seconds) * 1e3, _plain_seconds(text) * 1e3


async def fill(path: Path) -> None:
    """Let ingest write the cluster into a new journal."""
    path.parent.mkdir(parents=True)
    journal = SqliteJournal(path)
    state = await journal.open()

    def committed(_: Committed) -> None:
        pass

    pipeline = Pipeline(journal, state, now_ns=time.time_ns, on_committed=committed)
    writing = asyncio.create_task(pipeline.run(), name="pipeline")
    for n, first in enumerate(range(0, PODS, _BATCH), 1):
        batch: list[AnyRecord] = [a_pod(number) for number in range(first, first + _BATCH)]
        await (await pipeline.submit("bench", n, batch))
    await pipeline.stop()
    await writing
    await journal.close()


def a_pod(number: int) -> Change:
    """Return the first version of a pod, of ~2 KB."""
    workload, namespace = f"service-{number % WORKLOADS:04d}", f"team-{number % NAMESPACES:03d}"
    name, node = f"{workload}-5d8f7c9b6d-{number:05d}", f"ip-10-0-{number % NODES // 250}-{number % NODES % 250}.ec2"
    containers = ["app", "envoy"] if number % 4 == 0 else ["app"]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "labels": {"app": workload, "pod-template-hash": "5d8f7c9b6d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{workload}-5d8f7c9b6d", "controller": True}],
        },
        "spec": {"nodeName": node, "containers": [{"name": it, "resources": resources} for it in containers]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [
                {"name": it, "restartCount": 0, "state": {"running": {}}, "containerID": f"containerd://{number:064x}"}
                for it in containers
            ],
        },
    }
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        namespace=namespace,
        name=name,
        uid=str(body["metadata"]["uid"]),  # type: ignore[index]
        node=node,
        resource_version=1000 + number,
        observed_at=time.time_ns(),
        body=json.dumps(body).encode(),
    )


def _by_node() -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for number in range(PODS):
        pod = a_pod(number)
        found.setdefault(pod.node, []).append(pod)
    return found


async def tell_usage(session: aiohttp.ClientSession, ingest: str, node: str, pods: list[Change]) -> None:
    """Be the agent of *node* for as long as it takes to say what its *pods* use."""
    hello = Hello(
        protocol=PROTOCOL_VERSION,
        agent=f"node/{node}",
        scope="node",
        node=node,
        version="bench",
        instance="bench",
        spool_id=f"spool-{node}",
        cluster_uid="bench",
    )
    now = time.time_ns()
    usage = Usage(
        source="kubelet",
        node=node,
        nodes=(NodeUsage(name=node, compute=_compute(1, now), root=_SPACE, images=_SPACE, network=_network(1, now)),),
        pods=tuple(_usage_of(pod, number, now) for number, pod in enumerate(pods)),
    )
    async with session.ws_connect(ingest.rstrip("/") + "/ingest/v1") as socket:
        await socket.send_bytes(encode_message(hello))
        welcome = decode_from_aggregator(await socket.receive_bytes())
        if not isinstance(welcome, Welcome):
            raise RuntimeError(f"the agent of {node} was not welcomed: {welcome}")  # noqa: TRY004 - an answer
        await socket.send_bytes(encode_message(usage))


_SPACE = Space(capacity_bytes=100 * 2**30, available_bytes=61_234_567_890, used_bytes=46_139_614_510, inodes=6_553_600)


def _usage_of(pod: Change, number: int, now: int) -> PodUsage:
    spec = json.loads(pod.body)["spec"]
    return PodUsage(
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        containers=tuple(
            ContainerUsage(name=it["name"], compute=_compute(number, now), disk_bytes=1_000_003 * number)
            for it in spec["containers"]
        ),
        volumes=(VolumeUsage(name="data", claim=f"data-{pod.name}", space=_SPACE),) if number % 10 == 0 else (),
        network=_network(number, now),
        disk_bytes=1_300_027 * number,
    )


def _compute(number: int, now: int) -> Compute:
    return Compute(
        at=now,
        started_at=now - 3 * 86_400 * 10**9,
        cpu_nanoseconds=123_456_789_012 * (number + 1),
        cpu_nanocores=1_234_567 * number,
        memory_bytes=12_345_678 * (number + 1),
    )


def _network(number: int, now: int) -> Network:
    return Network(at=now, received_bytes=987_654_321 * number, sent_bytes=123_456_789 * number)


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
