"""The aggregator's real end of the link on a real port, with an ingest in memory behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from prometheus_client import CollectorRegistry

from agent.link.conversation import Deadlines
from agent.link.link import Link, LinkConfig
from agent.spool.limits import SpoolLimits
from agent.spool.spool import Spool
from aggregator.errors import LinkRefused, StoreUnavailable
from aggregator.ingest.link import LinkServer
from aggregator.ingest.peers import Peer
from aggregator.metrics import LinkMetrics
from kubescribe.runtime.backoff import Backoff
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import decode_records
from kubescribe.wire.link import PROTOCOL_VERSION, Grant, Granted, Welcome
from kubescribe.wire.records import Change, Gap


def change(version, *, stream="pods/node=a", body=b"{}"):
    return Change(
        stream=stream,
        term=1,
        kind="Pod",
        name=f"pod-{version}",
        uid=f"uid-{version}",
        resource_version=version,
        observed_at=1_000 + version,
        body=body,
    )


@dataclass
class MemoryIngest:
    """The ingest as the link needs it, with the verbs of a test: be busy, be slow, forget."""

    journal_id: str = "journal"
    committed: dict = field(default_factory=dict)
    records: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    usages: list = field(default_factory=list)
    takes_usage: bool = True
    sessions: dict = field(default_factory=dict)
    hellos: list = field(default_factory=list)
    claims: list = field(default_factory=list)
    busy: bool = False
    refusal: LinkRefused | None = None
    open_gate: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    most_under_way: int = 0
    window_batches: int = 8
    window_bytes: int = 8 * 2**20
    credit: int = 4

    async def welcome(self, session, hello):
        if self.refusal is not None:
            raise self.refusal
        self.hellos.append(hello)
        self.sessions[hello.agent] = session
        return Welcome(
            protocol=PROTOCOL_VERSION,
            journal_id=self.journal_id,
            epoch=1,
            redaction_key=b"k" * 32,
            last_n=self.committed.get(hello.spool_id, 0),
            window_batches=self.window_batches,
            window_bytes=self.window_bytes,
            credit=self.credit,
            heartbeat_seconds=15,
            server_time=0,
            takes_usage=self.takes_usage,
        )

    async def claim(self, session, claim):  # noqa: ARG002 - the Protocol's
        self.claims.append(claim)
        return Granted(streams=tuple(Grant(name=it.name, term=7, epoch=1, resource_version=5) for it in claim.streams))

    async def submit(self, session, batch):
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open_gate.wait()
            if self.busy:
                raise StoreUnavailable("disk full")
            last = self.committed.get(session.spool_id, 0)
            if batch.n > last + 1:
                raise StoreUnavailable("an earlier batch is missing")
            if batch.n == last + 1:
                self.records += decode_records(batch.records)
                self.committed[session.spool_id] = batch.n
            return batch.n
        finally:
            self.under_way -= 1

    async def report(self, session, presence):  # noqa: ARG002 - the Protocol's
        self.reports.append(presence)

    def usage(self, session, usage):  # noqa: ARG002 - the Protocol's
        self.usages.append(usage)

    async def gone(self, session):
        if self.sessions.get(session.agent) is session:
            del self.sessions[session.agent]

    def versions(self):
        return [record.resource_version for record in self.records if isinstance(record, Change)]

    def gaps(self):
        return [record for record in self.records if isinstance(record, Gap)]


@dataclass
class RecordingApp:
    """What the link told the agent."""

    welcomes: list = field(default_factory=list)
    grants: list = field(default_factory=list)
    relists: list = field(default_factory=list)
    adopts: list = field(default_factory=list)

    async def on_welcome(self, welcome):
        self.welcomes.append(welcome)

    async def on_grants(self, granted):
        self.grants += granted.streams

    async def on_relist(self, streams, epoch, reason):
        self.relists.append((tuple(streams), epoch, reason))

    async def on_adopt(self, streams):
        self.adopts.append(tuple(streams))


@dataclass
class Aggregator:
    """A real link server on a real port, which can be stopped and started again on the same port."""

    ingest: MemoryIngest
    token: str = ""
    port: int = 0
    runner: web.AppRunner | None = None
    server: LinkServer | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def peer_of(self, token):
        """Know the one token, as the server's Authenticator."""
        return Peer(name="anybody") if token == self.token else None

    async def start(self):
        app = web.Application()
        self.registry = CollectorRegistry()
        self.server = LinkServer(
            self.ingest, LinkMetrics(self.registry), authenticator=self if self.token else None, draw=lambda *_: 0.01
        )
        self.server.add_to(app)
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self):
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None


@pytest.fixture
def make_change():
    return change


@pytest_asyncio.fixture
async def ingest():
    made = MemoryIngest()
    made.open_gate.set()
    return made


@pytest_asyncio.fixture
async def aggregator(ingest):
    made = Aggregator(ingest)
    await made.start()
    yield made
    ingest.open_gate.set()
    await made.stop()


@pytest.fixture
def limits():
    return SpoolLimits(linger_seconds=0.001, idle_linger_seconds=0.002, retry_seconds=0.02)


@pytest_asyncio.fixture
async def spool(tmp_path, limits) -> AsyncIterator[Spool]:
    async with await Spool.open(tmp_path / "spool", agent="node-a", limits=limits, room=lambda _: Room(1, 1)) as made:
        await made.bind_cluster("cluster-1")
        yield made


@pytest.fixture
def app():
    return RecordingApp()


@pytest.fixture
def eventually():
    async def wait(condition, seconds=20.0):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def linked(app):
    """Run a link to a URL inside `async with`."""

    @contextlib.asynccontextmanager
    async def run(url, spool, **options):
        deadlines = Deadlines(**options.pop("deadlines", {}))
        token_file = options.pop("token_file", None)
        config = LinkConfig(
            url=url,
            agent="node-a",
            scope="node",
            version="1",
            instance="i-1",
            token_file=token_file,
            deadlines=deadlines,
        )
        backoff = Backoff(first_seconds=0.01, cap_seconds=0.05, floor_seconds=0.005)
        link = Link(config, spool, app, backoff=backoff, draw=lambda *_: 0.02, **options)
        task = asyncio.create_task(link.run(), name="link")
        try:
            yield link
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()

    run.app = app
    return run
