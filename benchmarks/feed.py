"""
`feed`: 5,000 websocket clients, each hearing 200 records/s of 600 bytes, one of them stuck; publish to receipt, p99.

The server has one core (uvloop, the public application, the real hub), the clients have another. Beside it runs a bare
aiohttp loop, `send_str` of a frame of the same size to 2,000 clients 20 times a second, on the same cores. What is
measured for each piece that a client reads is the age of its oldest whole record, so the batching of 50 ms is in it.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import re
import resource
import select
import socket
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import structlog
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from aggregator.logs.following import Tails
from aggregator.logs.reading import NodeLines
from aggregator.metrics import FeedMetrics
from aggregator.outlets.hub import Hub
from aggregator.records import Facets, Published
from aggregator.store.opening import open_journal
from aggregator.web.app import public_app
from aggregator.web.guarding import Guard
from aggregator.web.parts import WebParts

CLIENTS = 5_000
RECORDS_PER_SECOND = 200
RECORD_BYTES = 600
SECONDS = 12.0
WARM_UP_SECONDS = 3.0

BASELINE_CLIENTS = 2_000
BASELINE_FRAMES_PER_SECOND = 20

_STAMP = b'"publishedNs":'
_TAKE = 2**18


@dataclass(frozen=True)
class Outcome:
    """What the clients saw: p50 and p99 in ms, bytes of each client that kept up, and the server's share of a core."""

    p50: float
    p99: float
    pieces: int
    least_bytes: int
    most_bytes: int
    server_cores: float


def run() -> list[dict[str, object]]:
    """Measure both and return the result."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    ours = _measure(_serve_feed, CLIENTS, subscribe=True, stuck=1)
    _tell("feed", ours)
    bare = _measure(_serve_bare, BASELINE_CLIENTS, subscribe=False, stuck=0)
    _tell("bare aiohttp", bare)
    value, baseline = round(ours.p99, 1), round(bare.p99, 1)
    return [
        {"name": "feed", "value": value, "unit": "p99 ms", "baseline": baseline, "ratio": round(value / baseline, 2)}
    ]


def _tell(name: str, it: Outcome) -> None:
    print(
        f"{name}: p50 {it.p50:.1f} ms, p99 {it.p99:.1f} ms, {it.pieces} pieces, {it.least_bytes} bytes a client,"
        f" server {it.server_cores:.2f} cores",
        file=sys.stderr,
    )


def _measure(serve: Callable[[Connection], None], clients: int, *, subscribe: bool, stuck: int) -> Outcome:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        if not ours.poll(30):
            raise SystemExit("feed: the server did not start")
        port = ours.recv()
        return _listen(ours, port, clients, subscribe=subscribe, stuck=stuck)
    finally:
        server.kill()
        server.join()


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


# The clients.


class _Ears:
    """Reads whatever comes on many sockets; keeps the bytes of a few whole, to see that no record is missing."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._poller = select.epoll()
        self._sockets = {one.fileno(): one for one in sockets}
        for number, one in self._sockets.items():
            one.setblocking(False)
            self._poller.register(number, select.EPOLLIN)
        self.heard = dict.fromkeys(self._sockets, 0)
        self.watched = {number: bytearray() for number in list(self._sockets)[:: max(1, len(sockets) // 20)]}
        self.latencies = array("d")
        self._buffer = bytearray(_TAKE)

    def take(self, *, measure: bool) -> bool:
        """Read once from every socket that has something; False when none had for a while."""
        buffer = self._buffer
        view = memoryview(buffer)
        ready = self._poller.poll(0.3)
        for number, _ in ready:
            size = self._sockets[number].recv_into(view)
            if not size:
                raise SystemExit("feed: the server closed a connection that kept up")
            self.heard[number] += size
            if number in self.watched:
                self.watched[number] += view[:size]
            at = buffer.find(_STAMP, 0, size) if measure else -1
            if at >= 0 and at + len(_STAMP) + 19 <= size:
                start = at + len(_STAMP)
                self.latencies.append((time.monotonic_ns() - int(buffer[start : start + 19])) / 1e6)
        return bool(ready)


def _listen(server: Connection, port: int, count: int, *, subscribe: bool, stuck: int) -> Outcome:
    _pin(1)
    sockets = [_connect(port, subscribe=subscribe) for _ in range(count)]
    ears = _Ears(sockets[stuck:])  # the first ones are never read
    server.send("start")
    measured_from = time.monotonic() + WARM_UP_SECONDS
    stop = measured_from + SECONDS
    while time.monotonic() < stop:
        ears.take(measure=time.monotonic() > measured_from)
    server.send("stop")
    until = time.monotonic() + 10
    while time.monotonic() < until and ears.take(measure=False):
        pass
    cores = server.recv() if server.poll(10) else 0.0
    for one in sockets:
        one.close()
    if subscribe:
        for data in ears.watched.values():
            _check_whole(data, min(ears.heard.values()))
    ordered = sorted(ears.latencies)
    return Outcome(
        p50=ordered[len(ordered) // 2],
        p99=ordered[int(len(ordered) * 0.99)],
        pieces=len(ordered),
        least_bytes=min(ears.heard.values()),
        most_bytes=max(ears.heard.values()),
        server_cores=cores,
    )


def _connect(port: int, *, subscribe: bool) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=30)
    one.sendall(
        b"GET /api/v1/feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    _read_until(one, b"\r\n\r\n")
    if subscribe:
        message = b'{"type":"subscribe","id":"a","topic":"changes","from":0}'
        # A client's frames are masked; a mask of zeros leaves them as they are.
        one.sendall(bytes((0x81, 0x80 | len(message))) + b"\0\0\0\0" + message)
        _read_until(one, b'"bookmark"')
    return one


def _read_until(one: socket.socket, mark: bytes) -> None:
    got = b""
    while mark not in got:
        piece = one.recv(4096)
        if not piece:
            raise SystemExit(f"feed: the server closed instead of sending {mark!r}: {got[:200]!r}")
        got += piece


def _check_whole(data: bytearray, least_bytes: int) -> None:
    """Raise SystemExit unless the client heard every record, once and in order, and nobody heard less."""
    seqs = [int(seq) for seq in re.findall(rb'"type":"change","seq":(\d+),', data)]
    if seqs != list(range(1, len(seqs) + 1)) or least_bytes < len(seqs) * RECORD_BYTES:
        raise SystemExit(f"feed: records are missing or repeated: {len(seqs)} heard, {least_bytes} bytes at least")


# The servers.


def _record(seq: int) -> bytes:
    head = b'{"type":"change","seq":%d,"publishedNs":%019d,"diff":"' % (seq, time.monotonic_ns())
    return head + b"x" * (RECORD_BYTES - len(head) - 2) + b'"}'


def _serve_feed(pipe: Connection) -> None:
    _pin(0)
    uvloop.run(_feed(pipe))


class _NoAgents:
    def reading(self, node: str) -> None:
        """Return nobody: lines are not what is measured."""


async def _feed(pipe: Connection) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    journal = open_journal("memory:")
    await journal.open()
    hub = Hub(journal_id="bench", last_seq=0, metrics=FeedMetrics(CollectorRegistry()), now_ns=time.time_ns)
    lines = NodeLines(journal, _NoAgents(), now_ns=time.time_ns)
    # The recorder serves `status` alone, which nobody asks for here.
    parts = WebParts(
        journal=journal,
        hub=hub,
        lines=lines,
        tails=Tails(lines),
        recorder=None,  # type: ignore[arg-type]
        guard=Guard(None),
        version="bench",
        now_ns=time.time_ns,
    )
    delivering = asyncio.create_task(hub.run())
    port = await _bind(public_app(parts))
    facets = Facets(kind="Pod", namespace="default")
    await _go(pipe, port)
    started, used = time.monotonic(), time.process_time()
    seq = 0
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not pipe.poll():
        due = int((loop.time() - begun) * RECORDS_PER_SECOND)
        while seq < due:
            seq += 1
            now = time.time_ns()
            hub.publish([Published(seq=seq, topic="changes", committed_at=now, facets=facets, json=_record(seq))])
        await asyncio.sleep(1 / RECORDS_PER_SECOND)
    pipe.send((time.process_time() - used) / (time.monotonic() - started))
    await asyncio.wait([delivering], timeout=30)


def _serve_bare(pipe: Connection) -> None:
    _pin(0)
    uvloop.run(_bare(pipe))


async def _bare(pipe: Connection) -> None:
    sockets: list[web.WebSocketResponse] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        sockets.append(response)
        async for _ in response:
            pass
        return response

    app = web.Application()
    app.router.add_get("/api/v1/feed", handle)
    port = await _bind(app)
    await _go(pipe, port)
    started, used = time.monotonic(), time.process_time()
    records = RECORDS_PER_SECOND // BASELINE_FRAMES_PER_SECOND
    next_at = time.monotonic()
    while not pipe.poll():
        text = b'{"type":"delta","items":[%b]}' % b",".join(_record(n) for n in range(records))
        for response in sockets:
            await response.send_str(text.decode())
        next_at += 1 / BASELINE_FRAMES_PER_SECOND
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    pipe.send((time.process_time() - used) / (time.monotonic() - started))
    await asyncio.sleep(30)


async def _bind(app: web.Application) -> int:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    return int(runner.addresses[0][1])


async def _go(pipe: Connection, port: int) -> None:
    pipe.send(port)
    await asyncio.to_thread(pipe.recv)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
