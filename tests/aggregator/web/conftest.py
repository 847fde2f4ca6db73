"""The listeners on real sockets, over a journal that is a list."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from aggregator.census.roll import Roll
from aggregator.logs.following import Tails
from aggregator.logs.reading import NodeLines
from aggregator.outlets.fleet import AgentStatus, Identity
from aggregator.outlets.usage.desk import UsageDesk
from aggregator.records import Page
from aggregator.web.app import machines_app, observability_app, public_app
from aggregator.web.guarding import Guard
from aggregator.web.parts import WebParts
from kubescribe.runtime.tokens import Tokens
from kubescribe.wire.records import Presence, StreamHealth
from tests.aggregator.outlets.conftest import Bench, ReplayJournal

NOW = 1_767_323_045_000_000_006


class RecordedJournal(ReplayJournal):
    """The readers' half over lists; `asked` keeps what was asked, `failure` is raised instead of an answer."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.failure = None
        self.gap_items = []

    async def changes(self, query):
        self.asked.append(query)
        if self.failure:
            raise self.failure
        found = [r for r in self.records if r.topic == "changes"]
        if query.after is not None:
            found = [r for r in found if (r.seq > query.after) == query.ascending and r.seq != query.after]
        found = found if query.ascending else found[::-1]
        page = found[: query.limit]
        return Page(items=[r.json for r in page], last=page[-1].seq if len(found) > len(page) else None)

    occurrences = changes

    async def gaps(self, query, *, open_or_lost_only=False):
        self.asked.append((query, open_or_lost_only))
        return Page(items=self.gap_items, last=None)

    async def objects(self, query):
        self.asked.append(query)
        return await super().objects(query)

    async def object(self, uid, at=None):
        self.asked.append(at)
        return next((r.json for r in self.records if r.facets.uid == uid), None)

    async def history(self, uid, query):
        self.asked.append(query)
        items = [r.json for r in self.records if r.facets.uid == uid]
        return Page(items=items, last=None) if items else None


class NoAgents:
    """Nobody has the files of any node."""

    def reading(self, node):  # noqa: ARG002
        return None


def line_parts(journal, agents=None):
    """Return the parts of a site that read and follow lines."""
    lines = NodeLines(journal, agents or NoAgents(), now_ns=lambda: NOW)
    return {"lines": lines, "tails": Tails(lines)}


class Recording:
    """Ingest, as far as web asks it."""

    def __init__(self):
        self.reason = ""
        self.covered = []

    def identity(self):
        return Identity(journal_id="j1", cluster_uid="c-uid", cluster="test", epoch=1)

    def trouble(self):
        return self.reason

    def nodes(self):
        return self.covered

    def agents(self):
        report = Presence(
            agent="a1",
            state="report",
            observed_at=NOW,
            api_requests={"watch": 3},
            streams=(StreamHealth(name="pods", state="live", seen_at=NOW, resource_version=7),),
        )
        return [
            AgentStatus(
                agent="a1",
                node="n1",
                scope="all",
                connected=True,
                since=NOW,
                report=report,
                lag_seconds=0.5,
                spool_bytes=10,
            )
        ]


class Site:
    """A running public listener, and how tests talk to it."""

    def __init__(self, bench, recorder, base, session, clock):
        self.bench = bench
        self.recorder = recorder
        self.url = base
        self.session = session
        self.clock = clock

    async def get(self, path, **options):
        async with self.session.get(self.url + path, **options) as response:
            response.body = await response.read()
            return response

    async def json(self, path, status=200, **options):
        response = await self.get(path, **options)
        assert response.status == status, response.body
        return json.loads(response.body)

    def feed(self, **options):
        options.setdefault("protocols", ("kubescribe.feed.v1",))
        return self.session.ws_connect(self.url + "/api/v1/feed", autoclose=False, **options)


@pytest.fixture
async def serve():
    runners = []

    async def start(app):
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}", runner

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session():
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def site_of(serve, session):
    tasks = []

    async def start(*, base_path="", token_file: Path | None = None, origins=(), horizon=1, agents=None, **limits):
        bench = Bench(**limits)
        bench.journal = RecordedJournal()
        recorder = Recording()
        clock = [0.0]
        tokens = Tokens(token_file, clock=lambda: clock[0]) if token_file else None
        parts = WebParts(
            journal=bench.journal,
            hub=bench.hub,
            **line_parts(bench.journal, agents),
            recorder=recorder,
            guard=Guard(tokens, allowed_origins=frozenset(origins)),
            version="0.1.0",
            now_ns=lambda: NOW,
            base_path=base_path,
            horizon=lambda: horizon,
            usage=UsageDesk(Roll(), now_ns=lambda: NOW),
        )
        url, runner = await serve(public_app(parts))
        tasks.append(asyncio.create_task(bench.hub.run()))
        site = Site(bench, recorder, url + base_path, session, clock)
        site.root = url
        site.parts = parts
        site.usage = parts.usage
        site.runner = runner
        return site

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def site(site_of):
    return await site_of()


@pytest.fixture
async def observed(serve):
    async def start(registry=None):
        recorder = Recording()
        url, _ = await serve(observability_app(registry or CollectorRegistry(), recorder))
        return url, recorder

    return start


@pytest.fixture
def machines():
    return machines_app


@pytest.fixture
def told():
    """Read messages of a websocket until one of the type comes; every message on the way too."""

    async def read(socket, wanted, seconds=10.0):
        found = []
        async with asyncio.timeout(seconds):
            while True:
                message = await socket.receive()
                assert message.type.name == "TEXT", message
                found.append(json.loads(message.data))
                if found[-1]["type"] == wanted:
                    return found

    return read


@pytest.fixture
def until():
    async def wait(condition):
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    return wait
