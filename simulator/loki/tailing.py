"""
The live tail: a websocket that carries what is stored from now on, and before that what `start` asks for.

As pkg/querier/tail (grafana/loki@65e30f8): 100 entries a frame, ten tails a tenant, a slow client loses entries and is
told which.
"""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, web

from simulator.loki.entries import Entry, Refusal
from simulator.loki.ingesting import Stream
from simulator.loki.loki import Loki
from simulator.loki.querying import Query, parse_query
from simulator.loki.reading import bounds, grouped, limit_of

FRAME_ENTRIES = 100
WAITING_ENTRIES = 5 * FRAME_ENTRIES
"""What waits for one client; more is dropped."""

DROPPED_TOLD = 1000
MAX_DELAY_SECONDS = 5
PING_SECONDS = 1.0
TOO_MANY = "max concurrent tail requests limit exceeded, count > limit ({} > {})"


class Tails:
    """The tails of one stand-in."""

    def __init__(self, loki: Loki) -> None:
        self._loki = loki
        self._open: dict[str, set[_Tail]] = {}
        loki.ingester.listeners.append(self._heard)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one tail until its client leaves. Raises Refusal before the websocket opens."""
        query = parse_query(request.query.get("query", ""))
        tenant = self._loki.tenant_of(request.headers)
        limit = limit_of(request.query)
        if int(request.query.get("delay_for") or 0) > MAX_DELAY_SECONDS:
            raise Refusal(400, f"delay_for can't be greater than {MAX_DELAY_SECONDS}")
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS * 10, autoping=True)
        await socket.prepare(request)
        tails = self._open.setdefault(tenant, set())
        if len(tails) >= self._loki.limits.max_tails:
            text = TOO_MANY.format(len(tails) + 1, self._loki.limits.max_tails)
            await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=text.encode())
            return socket
        tail = _Tail(query)
        if request.query.get("start"):
            self._recall(tail, tenant, bounds(request.query), limit)
        tails.add(tail)
        reading = asyncio.ensure_future(_until_closed(socket))
        reading.add_done_callback(lambda _: tail.wake())
        try:
            while not reading.done():
                await tail.wait()
                while (frame := tail.frame()) is not None and not socket.closed:
                    await socket.send_str(json.dumps(frame))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tails.discard(tail)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        return socket

    def _recall(self, tail: "_Tail", tenant: str, between: tuple[int, int], limit: int) -> None:
        start, end = between
        found = [
            (entry, stream)
            for stream in self._loki.ingester.streams(tenant)
            if tail.query.selects(stream.labels)
            for entry in stream.entries()
            if start <= entry.at < end and tail.query.keeps(stream.labels, entry)
        ]
        found.sort(key=lambda pair: pair[0].at)
        tail.add(found[:limit])

    def _heard(self, tenant: str, stream: Stream, entries: Sequence[Entry]) -> None:
        for tail in self._open.get(tenant, ()):
            if tail.query.selects(stream.labels):
                tail.add([(entry, stream) for entry in entries if tail.query.keeps(stream.labels, entry)])


class _Tail:
    def __init__(self, query: Query) -> None:
        self.query = query
        self._waiting: deque[tuple[Entry, Stream]] = deque()
        self._dropped: deque[tuple[Entry, Stream]] = deque(maxlen=DROPPED_TOLD)
        self._woken = asyncio.Event()

    def add(self, found: Sequence[tuple[Entry, Stream]]) -> None:
        for pair in found:
            (self._dropped if len(self._waiting) >= WAITING_ENTRIES else self._waiting).append(pair)
        if found:
            self._woken.set()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self) -> None:
        await self._woken.wait()
        self._woken.clear()

    def frame(self) -> dict[str, Any] | None:
        if not self._waiting and not self._dropped:
            return None
        found = [self._waiting.popleft() for _ in range(min(FRAME_ENTRIES, len(self._waiting)))]
        frame: dict[str, Any] = {"streams": grouped(found)}
        if self._dropped:
            frame["dropped_entries"] = [
                {"timestamp": str(entry.at), "labels": dict(stream.labels)} for entry, stream in self._dropped
            ]
            self._dropped.clear()
        return frame


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass
