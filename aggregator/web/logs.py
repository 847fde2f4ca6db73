"""
`GET logs`: the newest lines of a pod or a workload as a list, or, with `follow`, as they come, one JSON object a line.

A stream's objects are lines, and between them `gap` (lines that are not there, and why) and `bookmark` (nothing came,
and the connection lives).
"""

import asyncio
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web

from aggregator.logs.asking import Answer, LogQuery
from aggregator.logs.following import TooManyTails
from aggregator.logs.rendering import render_line
from aggregator.logs.sinks import Notice, Sink
from aggregator.web.answers import answer_json, encode
from aggregator.web.logqueries import named, read_query
from aggregator.web.parameters import LOGS, BadParameter
from aggregator.web.parts import WebParts
from aggregator.web.problems import Problem
from kubescribe.wire.times import to_rfc3339

MAX_READING = 16
"""Answers that are being put together; each may hold some megabytes and ask every node."""

MAX_STREAMS = 128
_BEAT_SECONDS = 15.0
_LOOK_SECONDS = 1.0


class Logs:
    """The handler, and the streams that it serves."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._reading = 0
        self._streams = 0
        self._stopping = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET logs."""
        query = read_query(LOGS.read(request.query.items()), self._parts.now_ns())
        if query.follow:
            return await self._follow(request, query)
        if self._reading >= MAX_READING:
            raise Problem(503, f"{MAX_READING} questions about lines are being answered already", {"Retry-After": "2"})
        self._reading += 1
        try:
            answer = await self._parts.lines.read(query)
        finally:
            self._reading -= 1
        if answer is None:
            raise Problem(404, f"the journal knows no pod of {named(query)}")
        next_path = _next(request, query, answer) if answer.older else None
        body = await asyncio.to_thread(_render, answer, next_path)
        return await answer_json(request, body)

    async def stop(self) -> None:
        """End every stream."""
        self._stopping = True
        await self._parts.tails.close()

    async def _follow(self, request: web.Request, query: LogQuery) -> web.StreamResponse:
        if query.until or query.previous:
            raise BadParameter("follow", "true", "neither until nor previous with it: they have nothing to follow")
        if request.method != "GET":
            raise Problem(405, "lines are followed with GET", {"Allow": "GET"})
        if self._stopping or self._streams >= MAX_STREAMS:
            raise Problem(503, f"at most {MAX_STREAMS} streams of lines are served", {"Retry-After": "30"})
        try:
            sink = self._parts.tails.hear(query)
        except TooManyTails as error:
            raise Problem(503, str(error), {"Retry-After": "30"}) from error
        self._streams += 1
        try:
            response = web.StreamResponse(
                headers={
                    hdrs.CONTENT_TYPE: "application/x-ndjson",
                    hdrs.CACHE_CONTROL: "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            await response.prepare(request)
            await self._write(request, response, sink)
            return response
        finally:
            self._streams -= 1
            await self._parts.tails.leave(query, sink)

    async def _write(self, request: web.Request, response: web.StreamResponse, sink: Sink) -> None:
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + _BEAT_SECONDS
        try:
            await response.write(self._bookmark())
            # aiohttp tells nobody that the peer went, so the transport is asked now and then.
            while request.transport is not None and not request.transport.is_closing():
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await sink.ready.wait()
                except TimeoutError:
                    if loop.time() < beat_at:
                        continue
                    await response.write(self._bookmark())
                beat_at = loop.time() + _BEAT_SECONDS
                dropped, notices, lines = sink.take()
                self._parts.hub.metrics.dropped_lines.inc(dropped)
                said = [encode(body) for body in notices_of(dropped, notices)] + lines
                if said:
                    # Waits for a peer that does not read; what comes meanwhile is the sink's to drop.
                    await response.write(b"\n".join(said) + b"\n")
                if sink.has_ended and not sink.ready.is_set():
                    await response.write(encode({"type": "bye", "reason": "stopping"}) + b"\n")
                    return
        except ConnectionError:
            return

    def _bookmark(self) -> bytes:
        return encode({"type": "bookmark", "time": to_rfc3339(self._parts.now_ns())}) + b"\n"


def _next(request: web.Request, query: LogQuery, answer: Answer) -> str:
    asked = {**request.query, "until": to_rfc3339(answer.older)}
    if query.since:
        asked["since"] = to_rfc3339(query.since)
    # request.path holds the base path, so the link works behind any ingress.
    return f"{request.path}?{urlencode(asked)}"


def _render(answer: Answer, next_path: str | None) -> bytes:
    """Return *answer* as JSON; up to some megabytes, and so for a thread."""
    return b'{"items":[%b],"next":%b,"complete":%b,"gaps":[%b],"missing":%b}' % (
        b",".join(map(render_line, answer.lines)),
        encode(next_path),
        b"false" if answer.gaps or answer.missing else b"true",
        b",".join(answer.gaps),
        encode(answer.missing),
    )


def notices_of(dropped: int, notices: list[Notice]) -> list[dict[str, Any]]:
    """Return what is missing between the lines, as messages."""
    messages = [{"type": "gap", "cause": it.cause, "count": it.count or None, "detail": it.detail} for it in notices]
    if dropped:
        messages.append({"type": "gap", "cause": "slowClient", "count": dropped, "detail": ""})
    return messages
