"""
A gateway: what a daemon serves for shippers and runs for them.

    request ─▶ admission ─▶ intake (a thread) ─▶ spool ─▶ 204          spool ─▶ forwarder ─▶ sender ─▶ Loki

A 204 says that the lines are on our disk, under their names. Everything else says why not, and whether to come again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import hdrs, web
from aiohttp.client_exceptions import ClientPayloadError

from kubescribe.gateway.admission import WAITING_BYTES, Admission
from kubescribe.gateway.bodies import JSON, media_type
from kubescribe.gateway.config import GatewayConfig
from kubescribe.gateway.decoding import Decoding
from kubescribe.gateway.errors import BadPush, Busy, GatewayError, TooLarge
from kubescribe.gateway.finding import PodFinder
from kubescribe.gateway.forwarding import Forwarder
from kubescribe.gateway.intake import Api, Intake, Received, Understood
from kubescribe.gateway.naming import Naming
from kubescribe.gateway.numbers import GatewayCollector, GatewayNumbers, SpoolNumbers
from kubescribe.gateway.spool import Spool, open_spool
from kubescribe.gateway.store import FREE_FLOOR, Body, SpoolLimits
from kubescribe.gateway.tenants import Tenants
from kubescribe.loki.pushes import Sender
from kubescribe.runtime.room import RoomOf, room_of
from kubescribe.runtime.tasks import Part
from kubescribe.runtime.worker import Worker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]

BODY_SECONDS = 30.0
"""A body that takes longer holds room that others wait for; 64 MiB come at two a second."""

_PACKED = 8
"""How many times as large as its packed form a body of logs is counted; what is then too large is let in alone."""

_LOG_SECONDS = 10.0
_log = structlog.get_logger()


class Gateway:
    """Made by `open_gateway`; `routes` are to be served, `part` to be run."""

    def __init__(
        self, spool: Spool, forwarder: Forwarder, decoding: Decoding, tenants: Tenants, max_body_bytes: int
    ) -> None:
        self.numbers = forwarder.numbers
        self.spool = spool
        self.forwarder = forwarder
        self._tenants = tenants
        self._max_body_bytes = max_body_bytes
        self.decoding = decoding
        self._admission = Admission()
        self._under_way: dict[bytes, asyncio.Future[None]] = {}
        self._told_at = 0.0
        self.body_seconds = BODY_SECONDS

    @property
    def routes(self) -> Sequence[Route]:
        """What is served, as (method, path, handler)."""
        return (
            ("POST", "/loki/api/v1/push", self._handler("loki")),
            ("POST", "/otlp/v1/logs", self._handler("otlp")),
            ("GET", "/ready", self._ready),
        )

    @property
    def part(self) -> Part:
        """What has to run; it stops before the sender does."""
        return Part(name="gateway", run=self.forwarder.run, stop=self.forwarder.stop)

    @property
    def collector(self) -> GatewayCollector:
        """The gateway's metrics."""
        return GatewayCollector(self.numbers, self._look)

    async def take(self, received: Received, address: str) -> None:
        """Return when *received*, from *address*, is on disk, or was before. Raises GatewayError."""
        understood = await self.decoding.understand(received, address)
        # Asked again: the same body may have been written while this one was understood.
        if understood.is_repeat or self.spool.store.repeats.knows(understood.digest, received.at):
            self.numbers.repeats += 1
            return
        if understood.body is None:
            return
        if (first := self._under_way.get(understood.digest)) is not None:
            # The same body twice at once: a shipper that did not wait for its answer.
            await asyncio.shield(first)
            self.numbers.repeats += 1
            return
        await self._keep(understood, understood.body)

    async def _keep(self, understood: Understood, body: Body) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[understood.digest] = done
        try:
            await self.spool.put(body)
        except BaseException as error:
            done.set_exception(error if isinstance(error, GatewayError) else Busy("the push was given up"))
            done.exception()  # somebody may wait for it, or nobody
            raise
        else:
            done.set_result(None)
        finally:
            del self._under_way[understood.digest]
        for found, count in understood.found.items():
            self.numbers.lines[found] += count

    def _handler(self, api: Api) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                received = await self._receive(request, api)
            except GatewayError as error:
                return self._refused(error)
            self.numbers.requests[204] += received
            return web.Response(status=204)

        return handle

    async def _receive(self, request: web.Request, api: Api) -> int:
        tenant = self._tenants.checked(request.headers.get("X-Scope-OrgID", ""))
        max_bytes = self._max_body_bytes
        length = request.content_length
        if length is not None and length > max_bytes:
            raise TooLarge(f"the body has {length} bytes, {max_bytes} are taken (gateway.maxBodyBytes)")
        # What cannot be kept is not read, and its sender knows earlier.
        self.spool.store.admit(0, tenant)
        async with self._admission.let_in(_room_for(request, length, max_bytes)):
            await self.take(
                Received(
                    api=api,
                    body=await _read(request, max_bytes, self.body_seconds),
                    content_type=request.headers.get(hdrs.CONTENT_TYPE, ""),
                    encoding=request.headers.get(hdrs.CONTENT_ENCODING, "").strip(),
                    tenant=tenant,
                    at=time.time_ns(),
                ),
                request.remote or "",
            )
        return 1

    def _refused(self, error: GatewayError) -> web.Response:
        self.numbers.requests[error.status] += 1
        now = time.monotonic()
        if now - self._told_at >= _LOG_SECONDS:
            # A shipper repeats at once what was refused; the counter has them all.
            self._told_at = now
            _log.warning("gateway.push_refused", status=error.status, reason=str(error)[:256])
        headers = {hdrs.RETRY_AFTER: str(error.retry_seconds)} if error.retry_seconds else {}
        return web.Response(status=error.status, text=f"{error}\n", headers=headers)

    async def _ready(self, _: web.Request) -> web.Response:
        """Answer as Loki does (pkg/loki, /ready): with 503 while nothing can be taken."""
        try:
            self.spool.store.admit(0)
        except GatewayError as error:
            return web.Response(status=503, text=f"{error}\n")
        return web.Response(text="ready\n")

    def _look(self) -> SpoolNumbers:
        store = self.spool.store
        oldest = store.oldest_at
        return SpoolNumbers(
            bytes=store.size,
            oldest_seconds=max(0.0, (time.time_ns() - oldest) / 1e9) if oldest is not None else 0.0,
            damaged_frames=store.losses.frames,
            damaged_bytes=store.losses.bytes,
        )


@asynccontextmanager
async def open_gateway(
    config: GatewayConfig,
    folder: Path,
    sender: Sender,
    finder: PodFinder,
    *,
    tenant: str = "",
    pod_labels: Sequence[str] = (),
    free_floor: float = FREE_FLOOR,
    room: RoomOf = room_of,
) -> AsyncIterator[Gateway]:
    """
    Open the gateway whose spool lies in *folder* while the block runs. Raises StartupError.

    *tenant* is whose lines are those of shippers that name none; *free_floor* is the share of the disk that stays free.
    """
    limits = SpoolLimits(max_bytes=config.spool_bytes, free_floor=free_floor)
    async with open_spool(folder, limits, room=room) as spool:
        forwarder = Forwarder(spool, sender, GatewayNumbers())
        intake = Intake.of(
            Naming(finder, pod_labels=pod_labels),
            lambda: spool.store.repeats,
            max_bytes=config.max_body_bytes,
            waits=forwarder.waits,
        )
        tenants = Tenants(config.tenants, own=tenant)
        with Worker("gateway-decode") as thread:
            yield Gateway(spool, forwarder, Decoding(thread, intake.understand), tenants, config.max_body_bytes)


def _room_for(request: web.Request, length: int | None, max_bytes: int) -> int:
    """Return what a body takes in memory, as far as can be told before it is there."""
    if length is None:
        return max_bytes // 4
    is_packed = hdrs.CONTENT_ENCODING in request.headers or media_type(request.content_type) != JSON
    return min(length * _PACKED, WAITING_BYTES) if is_packed else length


async def _read(request: web.Request, max_bytes: int, seconds: float) -> bytes:
    content = request.content
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            if (length := request.content_length) is not None:
                # Woken once, for all of it, which is let in; reading along costs twice as much.
                content.set_read_chunk_size(length)
                # Where the connection was stopped already, because less was meant to be held, that lets it go on.
                parts.append(content.read_nowait())
                size = len(parts[0])
                if not content.is_eof():
                    await content.wait_eof()
            async for part in content.iter_any():
                size += len(part)
                if size > max_bytes:
                    raise TooLarge(f"the body has more than {max_bytes} bytes (gateway.maxBodyBytes)")
                parts.append(part)
    except TimeoutError:
        # Not 408, after which some shippers drop what they were sending.
        raise Busy(f"the body did not come within {seconds:.0f} seconds") from None
    except (ClientPayloadError, ConnectionError) as error:
        raise BadPush("the body ended too early") from error
    return b"".join(parts)
