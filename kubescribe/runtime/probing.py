"""
What the kubelet and Prometheus ask every daemon: `/livez`, `/readyz`, `/metrics`; and who takes gzip.

What makes a daemon ready is the daemon's to say.
"""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from kubescribe.runtime.exposition import exposition

GZIP_FROM_BYTES = 2 * 1024
"""Below this the headers of compression cost what it saves."""

_PACKED_BYTES = 2**20
"""Packed in one go, ~5 ms: as long as one thread lets another wait for Python's lock."""

_PARTS_AHEAD = 4

_GZIP_BITS = 31
"""zlib's way to say gzip: 16 and the largest window."""


class Readiness(NamedTuple):
    """Whether a daemon does its work: `unready` is answered 503, `degraded` is still to be asked."""

    status: Literal["ok", "degraded", "unready"] = "ok"
    reason: str = ""


READY = Readiness()


def add_probes(app: web.Application, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
    """Let *app* answer the three questions; *readiness* is asked each time, and must not wait."""

    async def readyz(_: web.Request) -> web.Response:
        status, reason = readiness()
        body = {"status": status, "reason": reason} if reason else {"status": status}
        return web.json_response(body, status=503 if status == "unready" else 200)

    async def metrics(request: web.Request) -> web.Response:
        return await _exposition(request, registry)

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


async def livez(_: web.Request) -> web.Response:
    """Answer that the event loop turns, which this answer shows."""
    return web.json_response({"status": "ok"})


async def _exposition(request: web.Request, registry: CollectorRegistry) -> web.Response:
    """Answer with every family, as OpenMetrics where the scraper asks for it."""
    encoder, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    takes_gzip = accepts_gzip(request)

    is_openmetrics = content_type.startswith("application/openmetrics-text")

    def render() -> tuple[bytes, bool]:
        parts = exposition(registry, encoder, is_openmetrics=is_openmetrics)
        return _packed(parts) if takes_gzip else (b"".join(parts), False)

    # Thousands of series take tens of milliseconds to write down, so not on the loop.
    body, is_packed = await asyncio.to_thread(render)
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if is_packed:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=headers)


def _packed(parts: Iterator[bytes]) -> tuple[bytes, bool]:
    """
    Return *parts* as one gzip stream, unless they are too short for it.

    Large ones are packed in a thread of their own, which needs no lock of Python's while the next ones are written.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_BITS)
    whole = _gathered(parts)
    first = next(whole, b"")
    if len(first) < GZIP_FROM_BYTES:
        return first, False
    packed = []
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="gzip") as packing:
        waiting = deque([packing.submit(packer.compress, first)])
        for part in whole:
            waiting.append(packing.submit(packer.compress, part))
            if len(waiting) > _PARTS_AHEAD:
                packed.append(waiting.popleft().result())
        packed += [it.result() for it in waiting]
    return b"".join([*packed, packer.flush()]), True


def _gathered(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Give *parts* in pieces so large that handing them from thread to thread costs nothing."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _PACKED_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def accepts_gzip(request: web.Request) -> bool:
    """Tell whether the client takes gzip."""
    for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
