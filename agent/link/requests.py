"""
The aggregator's requests to this agent: which verbs it knows, and the answers on their way.

Replies travel on the second lane, each for a credit that the aggregator granted; a handler without credit waits.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog

from agent.link.errors import LinkEnded
from kubescribe.wire.link import CANCEL, Reply, Request

_LOG = structlog.get_logger(__name__)

Handler = Callable[[bytes], AsyncIterator[bytes]]
"""
Takes a request's arguments, yields the payloads of the answer.

It is closed at the deadline, on disconnect, and when the asker has gone.
"""

MAX_RUNNING = 32
MAX_DEADLINE_SECONDS = 3600.0


class Requests:
    """The requests of one connection that are being answered."""

    def __init__(
        self, handlers: Mapping[str, Handler], send: Callable[[Reply], Awaitable[None]], *, credit: int
    ) -> None:
        self._handlers = handlers
        self._send = send
        self._credit = credit
        self._credited = asyncio.Condition()
        self._running: dict[asyncio.Task[None], int] = {}

    def begin(self, request: Request) -> None:
        """Answer *request* in a task of its own; too many at once are answered with an error."""
        if request.verb == CANCEL:
            for task, number in self._running.items():
                if number == request.id:
                    task.cancel()
            return
        handler = self._handlers.get(request.verb)
        # Owned by this object; `close` cancels and awaits it.
        if handler is None:
            answer = self._fail(request, f"unknown verb {request.verb[:64]!r}")
        elif len(self._running) >= MAX_RUNNING:
            answer = self._fail(request, f"{MAX_RUNNING} requests are being answered already")
        else:
            answer = self._answer(request, handler)
        if len(self._running) >= 2 * MAX_RUNNING:
            answer.close()  # not even the errors are taken; the asker's deadline ends it
            return
        task = asyncio.create_task(answer, name=f"request {request.verb[:32]} {request.id}")
        self._running[task] = request.id
        task.add_done_callback(self._running.pop)

    async def add_credit(self, messages: int) -> None:
        """Allow *messages* more replies."""
        async with self._credited:
            self._credit += messages
            self._credited.notify_all()

    async def close(self) -> None:
        """Cancel every answer and wait until its handler has ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, request: Request, handler: Handler) -> None:
        payloads = handler(request.arguments)
        try:
            async with asyncio.timeout(min(request.deadline_seconds, MAX_DEADLINE_SECONDS)):
                async for payload in payloads:
                    await self._reply(Reply(id=request.id, last=False, payload=payload))
                await self._reply(Reply(id=request.id))
        except TimeoutError:
            await self._fail(request, "not done by the deadline")
        except Exception as error:  # noqa: BLE001 - a handler's failure is the asker's to know, not the link's end
            _LOG.warning("link.request_failed", verb=request.verb[:64], error=repr(error)[:256])
            await self._fail(request, repr(error)[:256])
        finally:
            close = getattr(payloads, "aclose", None)
            if close is not None:
                await close()

    async def _fail(self, request: Request, error: str) -> None:
        await self._reply(Reply(id=request.id, error=error))

    async def _reply(self, reply: Reply) -> None:
        async with self._credited:
            while self._credit <= 0:
                await self._credited.wait()
            self._credit -= 1
        # The connection ended: `close` will say so to the handler, and nobody waits for this reply.
        with contextlib.suppress(LinkEnded):
            await self._send(reply)
