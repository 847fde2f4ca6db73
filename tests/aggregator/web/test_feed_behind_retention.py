"""A replay that is slower than retention, over a real journal and real sockets: what vanished is told."""

import asyncio
import json
import random
import socket
from contextlib import nullcontext, suppress

import pytest
from prometheus_client import CollectorRegistry

from aggregator.metrics import FeedMetrics
from aggregator.outlets import catchup
from aggregator.outlets.hub import FeedLimits, Hub
from aggregator.store.opening import open_journal
from aggregator.web.app import public_app
from aggregator.web.guarding import Guard
from aggregator.web.parts import WebParts
from tests.aggregator.store.story import Story, pod_body
from tests.aggregator.web.conftest import Recording, line_parts

RECORDS = 400
PODS = 4
PAD_BYTES = 20_000
"""In each record: 10 MB in all, of which the sockets below hold a part."""
SOCKET_BYTES = 65_536
"""Of what nobody reads the system keeps up to tens of MB, unless a socket says otherwise."""


@pytest.fixture
async def journal(tmp_path):
    """Give an SQLite journal of RECORDS changes of PODS pods, each committed alone."""
    store = open_journal(str(tmp_path / "journal.db"))
    await store.open()
    story, dice = Story(), random.Random(1)
    for rv in range(1, RECORDS + 1):
        name = f"web-{rv % PODS}"
        story.pod(name, rv, body=pod_body(name, pad=dice.randbytes(PAD_BYTES // 2).hex()))
        await store.commit(story.take())
    yield store
    await store.close()


@pytest.fixture
async def hub():
    limits = FeedLimits(batch_seconds=0.001, min_client_bytes=SOCKET_BYTES, max_client_bytes=SOCKET_BYTES)
    hub = Hub(
        journal_id="j", last_seq=RECORDS, metrics=FeedMetrics(CollectorRegistry()), now_ns=lambda: 1, limits=limits
    )
    running = asyncio.create_task(hub.run())
    yield hub
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
async def url(journal, hub, serve):
    parts = WebParts(
        **line_parts(journal),
        journal=journal,
        hub=hub,
        recorder=Recording(),
        guard=Guard(None),
        version="0",
        now_ns=lambda: 1,
    )
    url, runner = await serve(public_app(parts))
    for site in runner.sites:
        for listening in site._server.sockets:  # what it accepts inherits the size
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return url


@pytest.fixture
async def connection(url):
    """Give (reader, writer) of a client that keeps little of what it was not asked for."""
    host, port = url.removeprefix("http://").split(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=made, limit=4096)
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.fixture
def forget(journal):
    """Give what makes retention take the first three quarters; it returns the horizon."""

    async def prune():
        before = 1_000_000 + 1000 * (RECORDS * 3 // 4)
        while True:
            done = await journal.prune(before=before, max_bytes=0, step=50, forgetting=lambda _: nullcontext())
            if not done.more:
                return done.horizon_seq

    return prune


async def websocket(reader, writer):
    """Subscribe from the first record on; give what reads the next message, None for what is none."""
    writer.write(
        b"GET /api/v1/feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    said = json.dumps({"type": "subscribe", "id": "a", "topic": "changes", "from": 0}).encode()
    writer.write(bytes((0x81, 0x80 | len(said))) + b"\0\0\0\0" + said)

    async def read():
        kind, length = await reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        data = await reader.readexactly(length)
        return json.loads(data) if kind & 0x0F == 1 else None

    return read


async def event_stream(reader, writer):
    """As `websocket`, over server-sent events, each of which is one chunk."""
    writer.write(b"GET /api/v1/feed/sse?from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    async def read():
        length = int(await reader.readline(), 16)
        _, said, data = (await reader.readexactly(length + 2)).partition(b"data: ")
        return json.loads(data) if said else None

    return read


@pytest.fixture(params=[websocket, event_stream])
async def read(request, connection, monkeypatch):
    """Give what reads the next message of a subscription that begins before the first record."""
    monkeypatch.setattr(catchup, "REPLAY_ROWS", 10)
    return await request.param(*connection)


async def test_what_retention_took_from_under_a_slow_replay_is_told_and_the_rest_arrives(hub, read, forget, until):
    heard, gaps = [], []
    await until(lambda: any(client.transport.get_write_buffer_size() > SOCKET_BYTES // 2 for client in hub._clients))

    horizon = await forget()
    async with asyncio.timeout(20):
        while RECORDS not in heard:
            message = await read() or {"type": ""}
            if message["type"] == "gap":
                assert message["fromSeq"] >= heard[-1]
                gaps.append(message)
            elif message["type"] == "delta":
                assert message["prev"] == (heard[-1] if heard else 0)
                heard += [item["seq"] for item in message["items"]]

    missing = set(range(1, RECORDS + 1)) - set(heard)
    assert heard == sorted(set(heard))
    assert len(missing) > PODS, "the replay was faster than retention: nothing was tried"
    assert {gap["cause"] for gap in gaps} == {"retention"}
    assert missing <= {seq for gap in gaps for seq in range(gap["fromSeq"] + 1, gap["toSeq"] + 1)}
    assert gaps[-1]["toSeq"] == horizon
