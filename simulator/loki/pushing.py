"""A push on its way from the socket to the store and back, and the faults that it may meet."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from simulator.loki.decoding import TOO_LARGE
from simulator.loki.entries import PushedStream, Refusal
from simulator.loki.faults import Cut, Fault
from simulator.loki.loki import Loki, SeenRequest
from simulator.loki.otlp import status_body

PUSH_PATHS = ("/loki/api/v1/push", "/otlp/v1/logs")

_NO_FAULT = Fault(count=0)


@web.middleware
async def answer_refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a Refusal as Loki does."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refused(request.path, refusal)


@dataclass(slots=True, kw_only=True)
class _Push:
    request: web.Request
    tenant: str
    body_bytes: int = 0
    streams: list[PushedStream] = field(default_factory=list)


class Pushes:
    """Takes what is posted to PUSH_PATHS; every request is put on record."""

    def __init__(self, loki: Loki) -> None:
        self._loki = loki

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one push."""
        push = _Push(request=request, tenant=self._loki.tenant_of(request.headers))
        fault = self._loki.faults.take(push.tenant) or _NO_FAULT
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.cut is Cut.BEFORE:
            return self._cut(push)
        if fault.cut is Cut.HALFWAY:
            push.body_bytes = len(await request.content.read((request.content_length or 2) // 2))
            return self._cut(push)
        answer = await self._outcome(push, fault)
        if fault.cut is Cut.AFTER:
            return self._cut(push)
        self._note(push, answer.status)
        if answer.status == 204:
            return web.Response(status=204)
        response = _refused(request.path, answer)
        response.headers.update(fault.headers)
        return response

    async def _outcome(self, push: _Push, fault: Fault) -> Refusal:
        request = push.request
        try:
            body = await _body(request, self._loki.limits.max_body_bytes)
            push.body_bytes = len(body)
            if fault.code:
                return Refusal(fault.code, fault.text)
            push.streams = self._loki.decoded(request.path, body, request.headers)
            self._loki.push(push.tenant, push.streams)
        except Refusal as refusal:
            return refusal
        return Refusal(204, "")

    def _cut(self, push: _Push) -> web.Response:
        self._note(push, 0)
        if push.request.transport is not None:
            push.request.transport.abort()
        return web.Response(status=500)

    def _note(self, push: _Push, status: int) -> None:
        headers: Mapping[str, str] = dict(push.request.headers)
        seen = SeenRequest(
            path=push.request.path,
            tenant=push.tenant,
            headers=headers,
            body_bytes=push.body_bytes,
            entries=sum(len(stream.entries) for stream in push.streams),
            status=status,
        )
        self._loki.note(seen)


def _refused(path: str, refusal: Refusal) -> web.Response:
    if path.startswith("/otlp"):
        # A client of OTLP never retries a 500, so Loki answers 503 (push.go, OTLPError).
        status = 503 if refusal.status == 500 else refusal.status
        return web.Response(status=status, body=status_body(refusal.text), content_type="application/octet-stream")
    # http.Error of Go ends with a line feed.
    headers = {"X-Content-Type-Options": "nosniff"}
    return web.Response(status=refusal.status, text=refusal.text + "\n", headers=headers)


async def _body(request: web.Request, max_bytes: int) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise Refusal(413, TOO_LARGE.format(request.content_length, max_bytes))
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise Refusal(413, TOO_LARGE.format(size, max_bytes))
    return b"".join(parts)
