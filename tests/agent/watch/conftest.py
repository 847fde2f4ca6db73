"""A pretend cluster in the test's own loop, a sink that remembers, and watchers with short times against it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.kube.session import ApiSession, open_session
from agent.spool.marks import StreamMark
from agent.watch.counters import WatchCounters
from agent.watch.keyring import Keyring
from agent.watch.kinds import PODS, WatchedKind
from agent.watch.requests import ServerTraits
from agent.watch.settings import WatchSettings
from agent.watch.sharing import watch_tools
from agent.watch.watcher import Watcher
from kubescribe.kube.access import Access
from kubescribe.wire.link import Grant
from kubescribe.wire.records import AnyRecord, Change, Gap, Snapshot
from simulator.app import RunningSimulator, opened
from simulator.control import Control
from simulator.settings import SimulatorSettings

PATIENCE = 30.0
"""Seconds until a condition counts as not met: generous, for a machine that does other things."""

QUICK = WatchSettings(
    grace_seconds=0.1,
    timeout_seconds=(20.0, 30.0),
    silence_seconds=(5.0, 6.0),
    events_timeout_seconds=(20.0, 30.0),
    blind_seconds=0.2,
    proof_seconds=0.1,
    forbidden_seconds=0.1,
    internal_error_seconds=60.0,
    initial_silence_seconds=5.0,
    progress_seconds=0.0,
    verify_seconds=0.0,
    confirm_seconds=0.05,
    backoff_first_seconds=0.05,
    backoff_cap_seconds=0.1,
)


class Token:
    """A bearer token that a test can take away."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.good = token
        self.renewals = 0

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def renew(self) -> None:
        self.renewals += 1
        self.token = self.good


class MemorySink:
    """Keeps what was put, and can hold the putting up."""

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []
        self.marks: list[StreamMark] = []
        self.open = asyncio.Event()
        self.open.set()

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:
        await self.open.wait()
        self.records.extend(records)
        self.marks.append(mark)

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if type(record) is kind]

    @property
    def changes(self) -> list[Change]:
        return self.of(Change)

    @property
    def gaps(self) -> list[Gap]:
        return self.of(Gap)

    @property
    def ends(self) -> list[Snapshot]:
        return [record for record in self.of(Snapshot) if record.phase == "end"]

    def names(self) -> list[str]:
        return [change.name for change in self.changes]


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until *condition* is true, and return what it gave."""
    async with asyncio.timeout(PATIENCE):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


class World:
    """One pretend cluster, a session to it, and the watchers of a test."""

    def __init__(self, simulator: RunningSimulator, control: Control, session: ApiSession, token: Token) -> None:
        self.simulator = simulator
        self.control = control
        self.session = session
        self.token = token
        self.sink = MemorySink()
        self.keyring = Keyring(key=b"test key")
        self.counters = WatchCounters()
        self.traits = ServerTraits()
        self._tasks: list[asyncio.Task[Any]] = []

    def watcher(
        self,
        kind: WatchedKind = PODS,
        node: str | None = None,
        *,
        own: StreamMark | None = None,
        sink: MemorySink | None = None,
        **settings: Any,
    ) -> Watcher:
        tools = watch_tools(
            self.session,
            sink or self.sink,
            self.keyring,
            traits=self.traits,
            settings=replace(QUICK, **settings),
            counters=self.counters,
        )
        return Watcher(kind, node, tools, own)

    def run(self, watcher: Watcher) -> "asyncio.Task[Any]":
        task = asyncio.create_task(watcher.run(), name=watcher.stream)
        self._tasks.append(task)
        return task

    async def live(self, kind: WatchedKind = PODS, node: str | None = None, **settings: Any) -> Watcher:
        """Return a watcher that has sent its first Snapshot and watches."""
        watcher = self.watcher(kind, node, **settings)
        watcher.granted(Grant(name=watcher.stream, term=1, epoch=1, resource_version=0, snapshot=True))
        self.run(watcher)
        await until(lambda: watcher.health().state == "live")
        return watcher

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def add_pod(self, name: str, *, node: str = "node-1", **spec: Any) -> dict[str, Any]:
        body = {"containers": [{"name": "app", "image": "app:1"}], **({"nodeName": node} if node else {}), **spec}
        return await self.control.create("pods", {"metadata": {"name": name, "namespace": "shop"}, "spec": body})

    async def label(self, obj: dict[str, Any], value: str, resource: str = "pods") -> dict[str, Any]:
        changed = {**obj, "metadata": {**obj["metadata"], "labels": {"step": value}}}
        changed["metadata"].pop("resourceVersion", None)
        return await self.control.update(resource, changed)


@pytest_asyncio.fixture
async def start_world() -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> World:
            settings = SimulatorSettings(**{"quiet": True, "token": "t0ken", "bookmark_seconds": 0.2, **options})
            simulator = await stack.enter_async_context(opened(settings))
            token = Token(simulator.token)
            access = Access(base_url=simulator.url, credentials=token)
            session = await stack.enter_async_context(open_session(access, version="test"))
            control = await stack.enter_async_context(Control(simulator.url, simulator.token))
            world = World(simulator, control, session, token)
            stack.push_async_callback(world.stop)
            return world

        yield start


@pytest_asyncio.fixture
async def world(start_world: Callable[..., Any]) -> World:
    return await start_world()


@pytest.fixture
def wait() -> Callable[..., Any]:
    return until


@pytest.fixture
def recording() -> Callable[[str], list[bytes]]:
    folder = Path(__file__).parents[2] / "data" / "recordings"
    return lambda name: (folder / name).read_bytes().splitlines()
