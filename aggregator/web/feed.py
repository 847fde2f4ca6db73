"""
The feed over a websocket: `/api/v1/feed`, subprotocol `kubescribe.feed.v1` (design section 7).

Here connections begin and end; what is said in between is conversation.py's.
"""

import asyncio

from aiohttp import WSCloseCode, web

from aggregator.outlets.clients import Client
from aggregator.outlets.frames import WebSocketFraming, encode_text
from aggregator.web.conversation import Conversation
from aggregator.web.parts import WebParts
from aggregator.web.problems import Problem

SUBPROTOCOL = "kubescribe.feed.v1"

_CLOSE_SECONDS = 2.0
_SERVICE_RESTART = 1012


class Feed:
    """The handler, and the connections that it serves."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._framing = WebSocketFraming()
        self._open: dict[Client, web.WebSocketResponse] = {}
        self._stopping = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it ends."""
        parts, limits = self._parts, self._parts.hub.limits
        known = parts.guard.identifies(request)
        if self._stopping:
            raise Problem(503, "the aggregator is stopping", {"Retry-After": "5"})
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            autoping=False,
            compress=False,
            max_msg_size=limits.max_message_bytes,
            timeout=_CLOSE_SECONDS,
            decode_text=False,
        )
        if not socket.can_prepare(request):
            raise Problem(426, f"this is a websocket ({SUBPROTOCOL}); see feed/sse for server-sent events")
        if parts.hub.client_count >= limits.max_clients:
            raise Problem(503, f"{limits.max_clients} clients are connected already", {"Retry-After": "30"})
        await socket.prepare(request)
        transport = request.transport
        client = parts.hub.connect(transport, self._framing, hears=True) if transport is not None else None
        if client is None:
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return socket
        self._open[client] = socket
        try:
            async with asyncio.TaskGroup() as group:
                conversation = Conversation(parts, client, socket, group, known=known)
                try:
                    await conversation.listen()
                finally:
                    conversation.end()
        finally:
            self._open.pop(client, None)
            parts.hub.disconnect(client)
        return socket

    async def stop(self) -> None:
        """Say bye to everybody and close."""
        self._stopping = True
        farewell = encode_text({"type": "bye", "reason": "stopping", "retryAfterMs": 1000})
        for client in self._open:
            client.send(farewell)
        closing = [asyncio.create_task(socket.close(code=_SERVICE_RESTART)) for socket in self._open.values()]
        if closing:
            _, late = await asyncio.wait(closing, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*closing, return_exceptions=True)
        for client in list(self._open):
            client.transport.abort()
