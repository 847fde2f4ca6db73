"""A Loki that answers what it is told, keeps what it takes, and drops repeats as Loki does; and pushes for it."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import cramjam
from aiohttp import web

from kubescribe.loki.client import open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.encoding import encode_entry, encode_metadata
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.pushes import Push
from kubescribe.loki.sending import LokiSender
from tests.kubescribe.loki.protobuf import decode

QUICK = SenderLimits(
    linger_seconds=0.01,
    idle_linger_seconds=0.0,
    first_retry_seconds=0.01,
    max_retry_seconds=0.02,
    first_quarantine_seconds=0.01,
    max_quarantine_seconds=0.05,
    max_setting_seconds=0.05,
)
NOW = 1_790_000_000_000_000_000
DROP = "drop"
CUT = "cut"
"""Instead of an answer: the connection ends before anything was stored, or after."""


@dataclass
class Request:
    """One push as it arrived."""

    streams: list
    size: int
    headers: dict
    body: bytes

    @property
    def labels(self):
        return [labels for labels, _ in self.streams]

    @property
    def lines(self):
        return [line for _, entries in self.streams for _, line, _ in entries]


@dataclass
class FakeLoki:
    """`decide(request)` returns (status, text), DROP, CUT, or None for 204; a refusal stores nothing by itself."""

    decide: object = None
    requests: list = field(default_factory=list)
    stored: dict = field(default_factory=dict)
    under_way: dict = field(default_factory=dict)
    overtaken: list = field(default_factory=list)
    url: str = ""

    def store(self, streams):
        for labels, entries in streams:
            kept = self.stored.setdefault(labels, {})
            for at, line, metadata in entries:
                kept.setdefault((at, line, tuple(metadata.items())))

    def lines(self, labels):
        """Return the lines of a stream in the order in which they came first."""
        return [line for _, line, _ in self.stored.get(labels, {})]

    async def push(self, request):
        packed = await request.read()
        body = bytes(cramjam.snappy.decompress_raw(packed))
        seen = Request(decode(body), len(body), dict(request.headers), body)
        self.requests.append(seen)
        for labels in seen.labels:
            # Two requests with the same stream at once could overtake each other.
            if self.under_way.get(labels):
                self.overtaken.append(labels)
            self.under_way[labels] = self.under_way.get(labels, 0) + 1
        try:
            said = self.decide(seen) if self.decide else None
            if asyncio.iscoroutine(said):
                said = await said
        finally:
            for labels in seen.labels:
                self.under_way[labels] -= 1
        if said == DROP:
            request.transport.abort()
            return web.Response()
        if said is None or said == CUT:
            self.store(seen.streams)
        if said == CUT:
            request.transport.abort()
        status, text, headers = (*(said if isinstance(said, tuple) else (204, "")), {})[:3]
        return web.Response(status=status, text=text or None, headers=headers)


@asynccontextmanager
async def fake_loki(decide=None):
    loki = FakeLoki(decide)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/loki/api/v1/push", loki.push)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        loki.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield loki
    finally:
        await runner.cleanup()


class Clock:
    """The wall stands at NOW; the other time is real."""

    def now_ns(self):
        return NOW

    def monotonic(self):
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def sending(url, limits=QUICK, clock=None, **config):
    """Yield a sender that runs and is stopped, without grace, behind the block."""
    async with open_client(LokiConfig(url=url, **config), version="1.2") as client:
        sender = LokiSender(client, limits=limits, clock=clock or Clock())
        running = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            await sender.stop(0)
            await running


def labels_of(app):
    return f'{{app="{app}"}}'


def push_of(app, *lines, at=NOW, tenant="", pod="p-0"):
    metadata = encode_metadata({"pod": pod})
    entries = b"".join(encode_entry(at + n, line.encode(), metadata) for n, line in enumerate(lines))
    return Push(
        labels=labels_of(app),
        entries=entries,
        count=len(lines),
        content_bytes=sum(map(len, lines)) + len(lines) * (3 + len(pod)),
        first_at=at,
        last_at=at + len(lines) - 1,
        tenant=tenant,
    )


async def outcomes(sender, *pushes):
    """Submit *pushes* in their order and return their outcomes."""
    submitted = [await sender.submit(push) for push in pushes]
    async with asyncio.timeout(20):
        return [await outcome for outcome in submitted]


async def until(holds, seconds=10):
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def too_far_behind(count, of, labels):
    return 400, (
        "entry with timestamp 2026-09-21 13:33:20 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp "
        "is: 2026-09-21T13:33:20Z, oldest acceptable timestamp is: 2026-09-21T14:33:20Z',\n"
        f"user 'fake', total ignored: {count} out of {of} for stream: {labels}"
    )


def stream_rate(labels):
    return 429, (
        "entry with timestamp 2026-09-21 13:33:20 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: "
        f"3MB/sec) while attempting to ingest for stream '{labels}' totaling 12B, consider splitting',\n"
        f"user 'fake', total ignored: 1 out of 1 for stream: {labels}"
    )


def number_of(line):
    return int(re.sub(r"\D", "", line))
