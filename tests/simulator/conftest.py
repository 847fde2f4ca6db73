"""A quiet pretend cluster on a real socket, in the test's own loop, and the recordings to hold it against."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.app import RunningSimulator, opened
from simulator.control import Control
from simulator.settings import SimulatorSettings

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
PATIENCE = 20.0


class Client:
    """A client of the API under test."""

    def __init__(self, simulator: RunningSimulator, session: aiohttp.ClientSession, control: Control) -> None:
        self.simulator = simulator
        self.etcd = simulator.etcd
        self.control = control
        self.session = session
        self.url = simulator.url

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        async with self.session.get(self.url + path, headers=headers) as response:
            return response.status, await response.read()

    async def json(self, path: str, **headers: str) -> Any:
        return json.loads((await self.get(path, **headers))[1])

    @asynccontextmanager
    async def watch(self, path: str, **headers: str) -> AsyncIterator["Watch"]:
        async with self.session.get(self.url + path, headers=headers) as response:
            yield Watch(response)


class Watch:
    """One watch being read; every read has a deadline."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.response.content.readline()

    async def event(self) -> Any:
        return json.loads(await self.line())

    async def events(self, count: int) -> list[Any]:
        return [await self.event() for _ in range(count)]

    async def until(self, kind: str) -> Any:
        while (event := await self.event())["type"] != kind:
            pass
        return event

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.response.content.read()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start_one(**options: Any) -> Client:
            settings = SimulatorSettings(**{"quiet": True, "token": "t0ken", "bookmark_seconds": 0.05, **options})
            simulator = await stack.enter_async_context(opened(settings))
            headers = {"Authorization": f"Bearer {simulator.token}"}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers, read_bufsize=2**24))
            control = await stack.enter_async_context(Control(simulator.url, simulator.token))
            return Client(simulator, session, control)

        yield start_one


@pytest.fixture
async def cluster(start: Callable[..., Any]) -> Client:
    return await start()


@pytest.fixture
def recorded() -> Callable[[str], list[Any]]:
    def read(name: str) -> list[Any]:
        text = (RECORDINGS / name).read_text()
        return [json.loads(line) for line in text.splitlines()] if name.endswith("ndjson") else [json.loads(text)]

    return read


@pytest.fixture
def recordings() -> Path:
    return RECORDINGS


@pytest.fixture
def pod() -> Callable[..., dict[str, Any]]:
    def make(name: str, *, namespace: str = "shop", node: str = "", **labels: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"containers": [{"name": "app", "image": "public.ecr.aws/x/app:1.0"}]}
        if node:
            spec["nodeName"] = node
        metadata = {"name": name, "namespace": namespace, "labels": labels or {"app": "web"}}
        return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}

    return make
