"""A stand-in for Loki on a real socket, and a client that pushes to it with the official protobuf."""

import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import cramjam
import pytest

from simulator.loki.app import RunningLoki, running_loki
from simulator.loki.limits import Limits
from simulator.loki.schema import PushRequest

SECOND = 1_000_000_000


class Client:
    """What a shipper is to Loki."""

    def __init__(self, loki: RunningLoki, session: aiohttp.ClientSession) -> None:
        self.loki = loki
        self.session = session

    async def post(self, body: bytes, *, path: str = "/loki/api/v1/push", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.loki.url + path, data=body, headers=named) as response:
            return response.status, await response.text()

    async def push(self, *streams: tuple[str, list[Any]], **headers: str) -> tuple[int, str]:
        """Push streams of (labels, [(ns, line, metadata?)])."""
        return await self.post(snappy(*streams), Content_Type="application/x-protobuf", **headers)

    async def push_json(self, value: Any, *, zipped: bool = False) -> tuple[int, str]:
        body = json.dumps(value).encode()
        if zipped:
            return await self.post(gzip.compress(body), Content_Type="application/json", Content_Encoding="gzip")
        return await self.post(body, Content_Type="application/json")

    async def get(self, path: str, **query: str) -> Any:
        async with self.session.get(self.loki.url + path, params=query) as response:
            text = await response.text()
            return json.loads(text) if response.status == 200 else (response.status, text)


def proto(*streams: tuple[str, list[Any]]) -> bytes:
    request = PushRequest()
    for labels, entries in streams:
        stream = request.streams.add(labels=labels)
        for at, line, *metadata in entries:
            entry = stream.entries.add(line=line)
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(at, SECOND)
            for name, value in metadata[0].items() if metadata else ():
                entry.structuredMetadata.add(name=name, value=value)
    return bytes(request.SerializeToString())


def snappy(*streams: tuple[str, list[Any]]) -> bytes:
    return bytes(cramjam.snappy.compress_raw(proto(*streams)))


@pytest.fixture
def now() -> int:
    return time.time_ns()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def start_one(**limits: Any) -> Client:
            loki = await stack.enter_async_context(running_loki(Limits(**limits)))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(loki, session)

        yield start_one


@pytest.fixture
async def client(start: Callable[..., Any]) -> Client:
    return await start()


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Return streams as the bytes of a request, neither compressed nor checked."""
    return proto
