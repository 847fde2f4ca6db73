"""The parts of a connection: what goes out, the batches under way, the requests. No reading of the socket here."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

from aiohttp import ClientConnectionResetError, web

from aggregator.errors import LinkRefused, RequestFailed
from kubescribe.wire.codec import encode_message
from kubescribe.wire.link import CANCEL, Ack, Batch, Credit, FromAggregator, Refused, Reply, Request

MAX_OUTGOING = 256
"""Messages that may wait for an agent; acknowledgements are one at most. All are small."""

MAX_REQUESTS = 32
"""Requests under way on one connection."""

_GONE = (ClientConnectionResetError, ConnectionError, RuntimeError)
"""What aiohttp raises for a socket that is closing: a RuntimeError where it is closed already."""


class Outgoing:
    """What waits to be sent. Bounded: a peer that does not read is cut off, it never holds up who talks to it."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, *, send_seconds: float
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._send_seconds = send_seconds
        self._messages: deque[FromAggregator] = deque()
        self._acknowledged = 0
        self._told = 0
        self._credit = 0
        self._ready = asyncio.Event()

    def put(self, message: FromAggregator) -> None:
        """Queue *message*; over the limit the connection is aborted."""
        if len(self._messages) >= MAX_OUTGOING:
            self.abort()
            return
        self._messages.append(message)
        self._ready.set()

    def acknowledge(self, n: int) -> None:
        """Let the next Ack be *n*, or higher."""
        self._acknowledged = max(self._acknowledged, n)
        self._ready.set()

    def grant(self, messages: int) -> None:
        """Let the next Credit be *messages* higher."""
        self._credit += messages
        self._ready.set()

    async def run(self) -> None:
        """Send, for ever. Raises TimeoutError for a peer that does not read, OSError for one that is gone."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while (message := self._next()) is not None:
                await self._send(message)

    async def last(self, refused: Refused) -> None:
        """Send *refused* past what waits; a peer that does not take it does without."""
        with contextlib.suppress(TimeoutError, *_GONE):
            async with asyncio.timeout(min(self._send_seconds, 2.0)):
                await self._socket.send_bytes(encode_message(refused))

    async def close(self) -> None:
        """Close the websocket, at the latest after two seconds the transport."""
        try:
            async with asyncio.timeout(2.0):
                await self._socket.close(code=1000)
        except (TimeoutError, *_GONE):
            self.abort()

    def abort(self) -> None:
        """Cut the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> FromAggregator | None:
        if self._messages:
            return self._messages.popleft()
        if self._acknowledged > self._told:
            self._told = self._acknowledged
            return Ack(n=self._told)
        if self._credit:
            granted, self._credit = self._credit, 0
            return Credit(messages=granted)
        return None

    async def _send(self, message: FromAggregator) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._socket.send_bytes(encode_message(message))
        except TimeoutError:
            self.abort()
            raise
        except _GONE as error:
            raise ConnectionResetError(str(error)) from error


class Batches:
    """
    The batches of one connection, in order: submitted side by side, acknowledged as far as they are unbroken.

    A batch that the journal could not take stops those behind it: they are left out until it has come again, or its
    records would be skipped.
    """

    def __init__(
        self,
        submit: Callable[[Batch], Awaitable[int]],
        *,
        last_n: int,
        limit: int,
        on_committed: Callable[[int], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._submit = submit
        self._limit = limit
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._committed = last_n
        self._expected = last_n + 1
        self._failed: int | None = None
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._done: set[int] = set()

    def take(self, batch: Batch) -> None:
        """Submit *batch*, or answer it if it is in the journal. Raises LinkRefused for one that cannot come now."""
        if batch.n <= self._committed:
            self._on_committed(self._committed)
        elif batch.n in self._under_way or batch.n in self._done:
            self._expected = max(self._expected, batch.n + 1)
        elif self._failed is not None and batch.n > self._failed:
            return  # sent before the agent had read Busy; it comes again
        elif batch.n > self._expected:
            raise LinkRefused("outOfOrder", f"batch {batch.n} came where {self._expected} is due")
        elif len(self._under_way) >= self._limit:
            raise LinkRefused("malformed", f"more than {self._limit} batches are under way: the window was not kept")
        else:
            self._failed = None
            self._expected = batch.n + 1
            # Owned by this object; `close` cancels and awaits them.
            self._under_way[batch.n] = asyncio.create_task(self._run(batch), name=f"batch {batch.n}")

    async def close(self) -> None:
        """Cancel what is under way; the journal may still take it, and tells so at the next Welcome."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, batch: Batch) -> None:
        try:
            n = await self._submit(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection must hear of it
            del self._under_way[batch.n]
            is_first = self._failed is None
            self._failed = min(self._failed or batch.n, batch.n)
            if is_first:
                self._on_failed(error)
            return
        del self._under_way[batch.n]
        self._done.add(n)
        while self._committed + 1 in self._done:
            self._committed += 1
            self._done.remove(self._committed)
        self._on_committed(self._committed)


class Requests:
    """The requests of one connection that wait for their replies."""

    def __init__(self, outgoing: Outgoing, *, credit: int) -> None:
        self._outgoing = outgoing
        self._credit = credit
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Queue[Reply | None]] = {}
        self._closed: str | None = None

    def open(self, credit: int) -> None:
        """Allow *credit* replies at first, as the Welcome tells the agent."""
        self._credit = credit

    async def ask(self, verb: str, arguments: bytes, deadline_seconds: float) -> AsyncIterator[bytes]:
        """
        Send a Request; yield the payloads. Raises RequestFailed.

        Whoever closes it before its end ends the agent's work with it.
        """
        if self._closed is not None:
            raise RequestFailed(f"{verb}: {self._closed}")
        if len(self._waiting) >= MAX_REQUESTS:
            raise RequestFailed(f"{verb}: {MAX_REQUESTS} requests are under way with this agent")
        number = next(self._ids)
        # Bounded by the credit: an agent sends no more replies than were granted and not yet taken from here.
        replies: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._waiting[number] = replies
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        is_over = False
        try:
            self._outgoing.put(Request(id=number, verb=verb, arguments=arguments, deadline_seconds=deadline_seconds))
            while True:
                reply = await self._next(replies, deadline, verb)
                is_over = reply.last
                if reply.error:
                    raise RequestFailed(f"{verb}: {reply.error[:256]}")
                if reply.payload:
                    yield reply.payload
                if reply.last:
                    return
        finally:
            del self._waiting[number]
            self._grant(replies.qsize())
            if not is_over and self._closed is None:
                self._outgoing.put(Request(id=number, verb=CANCEL))

    def answered(self, reply: Reply) -> None:
        """
        Hand *reply* to who waits for it; one that nobody waits for is dropped, and its credit given back.

        Raises LinkRefused for a reply beyond the credit.
        """
        if self._credit <= 0:
            raise LinkRefused("malformed", "a reply beyond the credit")
        self._credit -= 1
        replies = self._waiting.get(reply.id)
        if replies is None:
            self._grant(1)
        else:
            replies.put_nowait(reply)

    def close(self, reason: str) -> None:
        """Fail every request that waits."""
        self._closed = reason
        for replies in self._waiting.values():
            replies.put_nowait(None)

    def _grant(self, messages: int) -> None:
        self._credit += messages
        self._outgoing.grant(messages)

    async def _next(self, replies: asyncio.Queue[Reply | None], deadline: float, verb: str) -> Reply:
        try:
            async with asyncio.timeout_at(deadline):
                reply = await replies.get()
        except TimeoutError:
            raise RequestFailed(f"{verb}: no answer in time") from None
        if reply is None:
            raise RequestFailed(f"{verb}: {self._closed}")
        self._grant(1)
        return reply
