"""A hub over a list of records, transports that can stall, and what tests do with them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry

from aggregator.metrics import FeedMetrics
from aggregator.outlets.catchup import Origin, Subscription
from aggregator.outlets.filters import EVERYTHING, Filter
from aggregator.outlets.frames import EventStreamFraming, WebSocketFraming
from aggregator.outlets.hub import FeedLimits, Hub
from aggregator.records import Facets, Horizon, Page, Published, RecordQuery, Stretch


def record(seq, topic="changes", *, namespace="default", uid=None, pad=0, late=False):
    body = {
        "type": topic.removesuffix("s"),
        "seq": seq,
        "epoch": 1,
        "cluster": "test",
        "kind": "Pod",
        "namespace": namespace,
        "name": f"pod-{seq}",
        "uid": uid or f"uid-{seq}",
        "resourceVersion": str(seq),
        "generation": 1,
        "verb": "modified",
        "actor": None,
        "observedAt": "2026-01-02T03:04:05.000000006Z",
        "committedAt": "2026-01-02T03:04:05.000000006Z",
        "late": late,
        "diff": [{"path": ["spec"], "old": None, "new": "x" * pad}],
    }
    facets = Facets(namespace=namespace, kind="Pod", name=body["name"], uid=body["uid"], observed_at=seq)
    return Published(seq=seq, topic=topic, committed_at=seq, facets=facets, json=json.dumps(body).encode())


class ReplayJournal:
    """The readers' half that subscriptions use, over a list; `pause` runs before each answer."""

    def __init__(self):
        self.records = []
        self.horizon = 0
        self.pause = None
        self.reads = 0

    async def replay(self, topic, query: RecordQuery):
        self.reads += 1
        topic = {"presences": "presence"}.get(topic, topic)
        if self.pause:
            await self.pause()
        wanted = Filter(namespace=query.namespace, kind=query.kind, uid=query.uid, start=query.start, to=query.to)
        found = [r for r in self.records if r.seq > query.after and r.topic == topic and wanted.matches(r)]
        last = found[query.limit - 1].seq if len(found) > query.limit else None
        stretch = Stretch(
            rows=[(r.seq, r.json) for r in found[: query.limit]], last=last, horizon=Horizon(self.horizon, self.horizon)
        )
        if self.pause:
            await self.pause()
        return stretch

    async def seq_at(self, committed_at):
        return max((r.seq for r in self.records if r.committed_at < committed_at), default=0)

    async def facts(self):
        oldest = self.records[0].committed_at if self.records else 0
        last = self.records[-1].seq if self.records else 0
        return {"lastSeq": last, "horizonSeq": self.horizon, "oldestCommittedAt": oldest}

    async def changes(self, query):
        found = [r for r in self.records if r.topic == "changes" and r.seq < query.after][::-1][: query.limit]
        return Page(items=[r.json for r in found], last=None)

    occurrences = gaps = changes

    async def objects(self, _):
        latest = {r.facets.uid: r.json for r in self.records if r.topic == "changes"}
        return Page(items=list(latest.values()), last=None)


class Wire:
    """An Outgoing that keeps what is written; `stall` makes it keep the bytes as unsent."""

    def __init__(self):
        self.data = bytearray()
        self.unsent = 0
        self.stalled = False
        self.closed = False

    def write(self, data):
        self.data += data
        if self.stalled:
            self.unsent += len(data)

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.closed

    def abort(self):
        self.closed = True

    def flow(self):
        self.stalled, self.unsent = False, 0

    def messages(self):
        """Every whole message in the websocket frames so far."""
        data, at, found = bytes(self.data), 0, []
        while at < len(data):
            opcode, length = data[at] & 0x0F, data[at + 1]
            at += 2
            if length == 126:
                length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            elif length == 127:
                length, at = int.from_bytes(data[at : at + 8], "big"), at + 8
            if opcode == 1:
                found.append(json.loads(data[at : at + length]))
            at += length
        assert at == len(data), "a frame was cut"
        return found

    def deltas(self, subscription=None):
        return [
            m for m in self.messages() if m["type"] == "delta" and (subscription is None or m["id"] == subscription)
        ]

    def seqs(self, subscription=None):
        return [item["seq"] for delta in self.deltas(subscription) for item in delta["items"]]


class Bench:
    """A hub with its journal, and what tests do with them."""

    def __init__(self, **limits):
        self.journal = ReplayJournal()
        self.limits = FeedLimits(**{"batch_seconds": 0.001, **limits})
        self.registry = CollectorRegistry()
        self.seq = 0
        self.framing = WebSocketFraming()
        self.make_hub()

    def make_hub(self):
        self.hub = Hub(
            journal_id="j1",
            last_seq=self.seq,
            metrics=FeedMetrics(CollectorRegistry()),
            now_ns=lambda: 1_700_000_000_000_000_000,
            limits=self.limits,
        )

    def commit(self, count=1, **about):
        """Commit and not yet publish."""
        made = []
        for _ in range(count):
            self.seq += 1
            made.append(record(self.seq, **about))
        self.journal.records += made
        return made

    def publish(self, count=1, **about):
        self.hub.publish(self.commit(count, **about))

    def client(self, framing=None):
        wire = Wire()
        client = self.hub.connect(wire, framing or self.framing, hears=True)
        assert client is not None
        return client, wire


@pytest.fixture
def bench_of():
    return Bench


@pytest.fixture
def event_stream_framing():
    return EventStreamFraming()


@pytest.fixture
async def feed() -> AsyncIterator[Callable]:
    """Start hubs and subscriptions; everything ends with the test."""
    tasks = []

    def start(coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        tasks.append(task)
        return task

    yield start
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


@pytest.fixture
def subscribe(feed):
    def start(bench, client, *, name="a", topic="changes", wanted=EVERYTHING, origin=None, snapshot=False):
        subscription = Subscription(bench.hub, bench.journal, client, name=name, topic=topic, wanted=wanted)
        feed(subscription.run(origin or Origin(), snapshot=snapshot))
        return subscription

    return start


@pytest.fixture
def until():
    async def wait(condition, seconds=10.0):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.002)

    return wait
