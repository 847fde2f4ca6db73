"""
The feed as server-sent events: one subscription, the same messages, for what cannot speak websocket.

The topic `logs` takes the parameters of `GET logs`. `id:` is the resume point, so that a browser's `Last-Event-ID` goes
on without a hole; heartbeats are comments.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import hdrs, web

from aggregator.errors import StoreError
from aggregator.outlets.catchup import Subscription
from aggregator.outlets.clients import Client, ClientGone
from aggregator.outlets.filters import Filter
from aggregator.outlets.frames import EventStreamFraming, encode_text
from aggregator.web.feed_messages import BadMessage, read_origin
from aggregator.web.logfeed import LOGS_TOPIC, LogSubscription
from aggregator.web.logqueries import read_query
from aggregator.web.parameters import EVENT_STREAM, TAIL, BadParameter
from aggregator.web.parts import WebParts
from aggregator.web.problems import Problem

_NAME = "sse"
_LOOK_SECONDS = 1.0


class EventStreams:
    """The handler, and the connections that it serves."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._framing = EventStreamFraming()
        self._open: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        hub = self._parts.hub
        if request.version < (1, 1):
            raise Problem(505, "server-sent events need HTTP/1.1")
        if self._stopping or hub.client_count >= hub.limits.max_clients:
            raise Problem(503, "no more clients are taken now", {"Retry-After": "30"})
        begin = self._hearing(request)
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: "text/event-stream", hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        # aiohttp keeps the head until the first body bytes; from here on the frames go to the transport.
        await response.write(b"retry: 2000\n\n")
        transport = request.transport
        client = hub.connect(transport, self._framing, hears=False) if transport is not None else None
        if client is None:
            return response
        task = asyncio.create_task(begin(client), name="feed event stream")
        self._open.add(task)
        try:
            # aiohttp tells nobody that the peer went, so the transport is asked now and then.
            while not task.done() and not client.transport.is_closing():
                await asyncio.wait([task], timeout=_LOOK_SECONDS)
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._open.discard(task)
            client.send(encode_text(_farewell(task)))
            hub.disconnect(client)
        return response

    def _hearing(self, request: web.Request) -> Callable[[Client], Coroutine[Any, Any, None]]:
        """Return what a client of *request* hears, once there is one. Raises BadParameter."""
        hub, journal, tails = self._parts.hub, self._parts.journal, self._parts.tails
        if request.query.get("topic") == LOGS_TOPIC:
            asked = TAIL.read(pair for pair in request.query.items() if pair[0] != "topic")
            query = read_query({**asked, "follow": True}, self._parts.now_ns())
            return lambda client: LogSubscription(hub, tails, client, name=_NAME, query=query).run()
        values = EVENT_STREAM.read(request.query.items())
        topic = values.pop("topic", "changes")
        snapshot = values.pop("snapshot", False)
        origin = read_origin(_origin_text(request, values.pop("origin", None)))
        wanted = Filter(**values)
        return lambda client: Subscription(hub, journal, client, name=_NAME, topic=topic, wanted=wanted).run(
            origin, snapshot=snapshot
        )

    async def stop(self) -> None:
        """End every stream; the clients come back with their Last-Event-ID."""
        self._stopping = True
        for task in self._open:
            task.cancel()


def _origin_text(request: web.Request, given: str | None) -> str | None:
    last = request.headers.get("Last-Event-ID", "").strip()
    if not last:
        return given
    if not (last.isascii() and last.isdigit()):
        raise BadParameter("Last-Event-ID", last, "a seq")
    return last


def _farewell(task: asyncio.Task[None]) -> dict[str, object]:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, BadMessage):
        return {"type": "error", "id": _NAME, "code": error.code, "message": str(error), "retryable": True}
    if isinstance(error, StoreError):
        return {"type": "error", "id": _NAME, "code": "unavailable", "message": str(error)[:256], "retryable": True}
    if error is not None and not isinstance(error, ClientGone):
        raise error
    reason = error.cause if isinstance(error, ClientGone) else "stopping"
    return {"type": "bye", "reason": reason, "retryAfterMs": 1000}
