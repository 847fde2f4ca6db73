"""
The stand-in on a socket of loopback: routes, faults on connections, and the block that runs it in a test.

    async with running_loki(Limits(max_streams=10)) as loki:
        loki.faults.answer(500, 3)
        ...                             # the product pushes to loki.url
        assert [entry.line for entry in loki.entries('{app="web"}')] == [...]
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from simulator.errors import BadSettings
from simulator.loki import reading, verbs
from simulator.loki.entries import Entry
from simulator.loki.faults import Faults
from simulator.loki.ingesting import Stream
from simulator.loki.limits import Limits
from simulator.loki.loki import NO_AUTH_TENANT, Loki, SeenRequest
from simulator.loki.pushing import PUSH_PATHS, Pushes, answer_refusals
from simulator.loki.tailing import Tails

HOST = "127.0.0.1"
"""Loopback only, as the pretend cluster."""

SHUTDOWN_SECONDS = 0.2

ACCEPTING_STEPS = 5
"""Steps of the loop after which a connection that was accepted just before is among the server's: asyncio has three."""


class RunningLoki:
    """A stand-in that listens; what a test reads and breaks."""

    def __init__(self, loki: Loki, runner: web.AppRunner, *, port: int, tls: ssl.SSLContext | None) -> None:
        self.loki = loki
        self.port = port
        self._runner = runner
        self._tls = tls
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """Where it is, without a path; the same over `down` and `up`."""
        return f"http{'s' if self._tls else ''}://{HOST}:{self.port}"

    @property
    def faults(self) -> Faults:
        """What is wrong with it."""
        return self.loki.faults

    @property
    def requests(self) -> list[SeenRequest]:
        """Every push, with its size and answer."""
        return list(self.loki.requests)

    def entries(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Entry]:
        """Return what a query would find, in order of arrival within each stream."""
        return self.loki.entries(query, tenant)

    def arrived(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Entry]:
        """Return the same with repeats."""
        return self.loki.arrived(query, tenant)

    def streams(self, query: str = "", tenant: str = NO_AUTH_TENANT) -> list[Stream]:
        """Return the streams that *query* selects."""
        return self.loki.streams(query, tenant)

    async def up(self) -> None:
        """Listen. Raises BadSettings when the port is taken."""
        site = web.TCPSite(self._runner, HOST, self.port, ssl_context=self._tls, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise BadSettings(f"--loki-port {self.port}: {error.strerror}: choose another") from error
        self._site = site
        self.port = int(self._runner.addresses[0][1])

    async def down(self) -> None:
        """Listen no more and cut every connection; what was stored stays."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        server = self._runner.server
        for _ in range(ACCEPTING_STEPS):
            for connection in server.connections if server is not None else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)


@asynccontextmanager
async def running_loki(
    limits: Limits | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RunningLoki]:
    """Run a stand-in for the length of a block, on any free port by default."""
    loki = Loki(limits)
    app = web.Application(middlewares=[answer_refusals])
    # No cancellation when a client leaves: Loki stores what it has read, too. And it decompresses by itself.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, auto_decompress=False)
    running = RunningLoki(loki, runner, port=port, tls=tls)
    _Server(loki).add_routes(app)
    closing: list[asyncio.Task[None]] = []
    verbs.add_routes(app, running, closing)
    await runner.setup()
    try:
        await running.up()
        yield running
    finally:
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        await running.down()
        await runner.cleanup()


class _Server:
    """The routes of Loki."""

    def __init__(self, loki: Loki) -> None:
        self._loki = loki
        self._pushes = Pushes(loki)
        self._tails = Tails(loki)

    def add_routes(self, app: web.Application) -> None:
        for path in PUSH_PATHS:
            app.router.add_post(path, self._pushes.serve)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", self._metrics)
        api = "/loki/api/v1"
        app.router.add_get(f"{api}/tail", self._tails.serve)
        for method in ("GET", "POST"):
            app.router.add_route(method, f"{api}/query", self._query)
            app.router.add_route(method, f"{api}/query_range", self._query_range)
            app.router.add_route(method, f"{api}/labels", self._labels)
            app.router.add_route(method, f"{api}/series", self._series)
        app.router.add_get(f"{api}/label/{{name}}/values", self._values)

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="ready\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        lines = ["# TYPE loki_discarded_samples_total counter"]
        lines += [
            f'loki_discarded_samples_total{{reason="{reason}",tenant="{tenant}"}} {count}'
            for (reason, tenant), count in self._loki.discards.items()
        ]
        return web.Response(text="\n".join(lines) + "\n")

    async def _query(self, request: web.Request) -> web.Response:
        streams = self._loki.ingester.streams(self._loki.tenant_of(request.headers))
        return web.json_response(reading.query(streams, await _asked(request), self._loki.limits))

    async def _query_range(self, request: web.Request) -> web.Response:
        streams = self._loki.ingester.streams(self._loki.tenant_of(request.headers))
        categorize = reading.CATEGORIZE in request.headers.get("X-Loki-Response-Encoding-Flags", "")
        return web.json_response(
            reading.query_range(streams, await _asked(request), self._loki.limits, categorize=categorize)
        )

    async def _labels(self, request: web.Request) -> web.Response:
        streams = self._loki.ingester.streams(self._loki.tenant_of(request.headers))
        return web.json_response(reading.label_names(streams, await _asked(request)))

    async def _values(self, request: web.Request) -> web.Response:
        streams = self._loki.ingester.streams(self._loki.tenant_of(request.headers))
        return web.json_response(reading.label_values(streams, request.match_info["name"], await _asked(request)))

    async def _series(self, request: web.Request) -> web.Response:
        streams = self._loki.ingester.streams(self._loki.tenant_of(request.headers))
        form = await request.post() if request.method == "POST" else {}
        matches = [*request.query.getall("match[]", []), *(str(form["match[]"]) for _ in form if "match[]" in form)]
        return web.json_response(reading.series(streams, matches))


async def _asked(request: web.Request) -> dict[str, str]:
    form = await request.post() if request.method == "POST" else {}
    return {**request.query, **{name: str(value) for name, value in form.items()}}
