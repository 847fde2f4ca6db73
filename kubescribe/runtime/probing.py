"""
What the kubelet and Prometheus ask every daemon: `/livez`, `/readyz`, `/metrics`; and who takes gzip.

What makes a daemon ready is the daemon's to say.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from kubescribe.runtime.exposition import Part, exposition_parts, inflated
from kubescribe.runtime.packing import Fragment, gzip_of, packed
from kubescribe.runtime.turns import SHORT_TURNS

GZIP_FROM_BYTES = 2 * 1024
"""Below this the headers of compression cost what it saves."""

_PACKED_BYTES = 128 * 1024
"""Packed in one go: hardly larger than all in one, and a millisecond's work at most until the next."""


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
        parts = exposition_parts(registry, encoder, is_openmetrics=is_openmetrics)
        return _packed(parts) if takes_gzip else (b"".join(inflated(parts)), False)

    # A hundred thousand series take a tenth of a second to write down, so not on the loop.
    with SHORT_TURNS:
        body, is_packed = await asyncio.to_thread(render)
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if is_packed:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=headers)


def _packed(parts: Iterator[Part]) -> tuple[bytes, bool]:
    """
    Return *parts* as one gzip stream, unless they are too short for it.

    Each piece is packed as soon as it is there: meanwhile Python's lock is free, and the loop gets its turn.
    """
    whole = _gathered(parts)
    first = next(whole, b"")
    following = next(whole, None)
    if isinstance(first, bytes) and len(first) < GZIP_FROM_BYTES and following is None:
        return first, False
    fragments = [it if isinstance(it, Fragment) else packed(it) for it in (first, following) if it is not None]
    fragments += [it if isinstance(it, Fragment) else packed(it) for it in whole]
    return gzip_of(fragments), True


def _gathered(parts: Iterator[Part]) -> Iterator[Part]:
    """Give *parts* in pieces that are worth packing: what is text and stands together is put together."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        if isinstance(part, bytes):
            gathered.append(part)
            size += len(part)
        if gathered and (size >= _PACKED_BYTES or not isinstance(part, bytes)):
            yield b"".join(gathered)
            gathered, size = [], 0
        if not isinstance(part, bytes):
            yield part
    if gathered:
        yield b"".join(gathered)


def accepts_gzip(request: web.Request) -> bool:
    """Tell whether the client takes gzip."""
    for part in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
