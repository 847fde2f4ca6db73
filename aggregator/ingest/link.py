"""
The aggregator's end of the link: `GET /ingest/v1`, one websocket for each agent.

Not the conversation (connection.py), nor what it means (reception.py).
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

import structlog
from aiohttp import web

from aggregator.errors import PeersUnknown
from aggregator.ingest.connection import BUSY_SECONDS, HELLO_SECONDS, Connection, Ingest, Session
from aggregator.ingest.peers import Anybody, Authenticator, Peer
from aggregator.metrics import LinkMetrics
from kubescribe.wire.link import MAX_MESSAGE_BYTES, Hello

__all__ = ["PATH", "Ingest", "LinkServer", "Session"]

PATH = "/ingest/v1"
_LOG = structlog.get_logger(__name__)
_MAX_UNKNOWN = 512
"""Connections that have not said Hello; more are answered 503."""


class LinkServer:
    """
    The agents' connections: accepts them, lets a newer one supersede an older one of the same agent, ends them.

    *authenticator* tells whose the bearer token is. `heartbeat_seconds` is the interval
    of websocket pings: a half-open connection is found after 1.5 of them.
    """

    def __init__(
        self,
        ingest: Ingest,
        metrics: LinkMetrics,
        *,
        authenticator: Authenticator | None = None,
        heartbeat_seconds: float = 15.0,
        hello_seconds: float = HELLO_SECONDS,
        busy_seconds: float = BUSY_SECONDS,
        now_ns: Callable[[], int] = time.time_ns,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._ingest = ingest
        self._metrics = metrics
        self._authenticator = authenticator or Anybody()
        self._heartbeat_seconds = heartbeat_seconds
        self._hello_seconds = hello_seconds
        self.busy_seconds = busy_seconds
        self._now_ns = now_ns
        self._draw = draw
        self._all: dict[Connection, asyncio.Event] = {}
        self._by_agent: dict[str, Connection] = {}
        self._is_stopping = False
        self._unknown = 0

    def add_to(self, app: web.Application) -> None:
        """Serve the link on *app*, and end its connections in order when the application shuts down."""
        app.router.add_get(PATH, self.handle)
        app.on_shutdown.append(self._shut_down)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request to open the link; returns when the conversation is over."""
        try:
            peer = await self._authenticator.peer_of(_bearer(request))
        except PeersUnknown as error:
            _LOG.warning("link.peers_unknown", error=str(error)[:256], remote=request.remote or "")
            return web.Response(status=503, headers={"Retry-After": "5"})
        if peer is None:
            self._metrics.errors.labels("unauthorized").inc()
            _LOG.warning("link.unauthorized", remote=request.remote or "")
            return web.json_response(
                {"title": "Unauthorized", "status": 401, "detail": "the token is missing or not known here"},
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
                content_type="application/problem+json",
            )
        if self._unknown >= _MAX_UNKNOWN:
            return web.Response(status=503, headers={"Retry-After": "5"})
        # One byte over the limit is left to the codec, so that the agent reads why; more is cut off by aiohttp (1009).
        socket = web.WebSocketResponse(
            heartbeat=self._heartbeat_seconds, compress=False, max_msg_size=MAX_MESSAGE_BYTES + 2, autoping=True
        )
        await socket.prepare(request)
        transport = request.transport
        connection = Connection(
            socket,
            transport,
            ingest=self._ingest,
            metrics=self._metrics,
            hello_seconds=self._hello_seconds,
            busy_seconds=self.busy_seconds,
        )
        ended = self._all[connection] = asyncio.Event()
        try:
            await self._serve(connection, peer, request.remote or "")
        finally:
            try:
                await connection.farewell()
            finally:
                del self._all[connection]
                ended.set()
        return socket

    async def stop(self, seconds: float = 5.0) -> None:
        """Tell every agent to come again, each at another time; wait at most *seconds* until all have ended."""
        self._is_stopping = True
        waiting = list(self._all.items())
        for connection, _ in waiting:
            connection.refuse("stopping", "the aggregator is stopping", self._draw(0.5, 3.0))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for _, ended in waiting:
                    await ended.wait()

    async def _shut_down(self, _: web.Application) -> None:
        await self.stop()

    async def _serve(self, connection: Connection, peer: Peer, remote: str) -> None:
        if self._is_stopping:
            connection.refuse("stopping", "the aggregator is stopping", self._draw(0.5, 3.0))
            return
        self._unknown += 1
        try:
            hello = await connection.first_message()
        finally:
            self._unknown -= 1
        if hello is None:
            return
        complaint = peer.complaint(hello)
        if complaint:
            connection.refuse("unauthorized", complaint)
        else:
            await self._converse(connection, hello, remote, bound_node=peer.bound_node)

    async def _converse(self, connection: Connection, hello: Hello, remote: str, *, bound_node: str) -> None:
        is_open = False

        def welcomed() -> None:
            # Not before: another cluster's agent, which is refused, may well have the same name.
            nonlocal is_open
            is_open = True
            older = self._by_agent.get(hello.agent)
            if older is not None:
                older.refuse("superseded", f"another connection of agent {hello.agent} was opened")
            self._by_agent[hello.agent] = connection
            self._metrics.connected.inc()
            _LOG.info("link.opened", agent=hello.agent, scope=hello.scope, version=hello.version, remote=remote)

        try:
            await connection.converse(
                hello, connected_at=self._now_ns(), remote=remote, on_welcomed=welcomed, bound_node=bound_node
            )
        finally:
            if is_open:
                self._metrics.connected.dec()
                if self._by_agent.get(hello.agent) is connection:
                    del self._by_agent[hello.agent]
                _LOG.info("link.closed", agent=hello.agent)


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
