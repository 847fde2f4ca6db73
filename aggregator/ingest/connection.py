"""
One agent's connection: the order of its messages, its lanes, its errors. Not what the messages mean (reception.py).

    receive ──Batch──▶ submissions (tasks, at most two windows) ──▶ Ack, coalesced
            ──Claim──▶ claims (one task, in order)              ──▶ Granted
            ──Report─▶ the newest one waiting (one task)
            ──Usage──▶ taken at once: it is memory
            ──Reply──▶ the request that waits for it            ──▶ Credit

Whatever is wrong ends this connection alone, with a Refused that says why, counted by its code.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import structlog
from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from aggregator.errors import LinkRefused, StoreError, StoreUnavailable
from aggregator.ingest.conversing import Batches, Outgoing, Requests
from aggregator.metrics import LinkMetrics
from kubescribe.wire.codec import decode_from_agent
from kubescribe.wire.errors import FrameTooLarge, ProtocolMismatch, WireError
from kubescribe.wire.link import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Batch,
    Busy,
    Claim,
    FromAgent,
    FromAggregator,
    Granted,
    Hello,
    Refused,
    Reply,
    Report,
    Usage,
    Welcome,
)
from kubescribe.wire.records import Presence

_LOG = structlog.get_logger(__name__)

HELLO_SECONDS = 10.0
"""A connection that has not said Hello by then holds a socket for nothing."""

MAX_CLAIMS = 16
"""Claims that may wait; an agent has one under way."""

BUSY_SECONDS = 2.0
"""After which an agent may resend to a journal that could not be written; the agent adds jitter."""


class Ingest(Protocol):
    """
    What the link needs from behind it.

    `welcome`, `claim` and `report` may raise LinkRefused; all may raise StoreUnavailable. `submit` returns the batch's
    number once it is durable; it is called concurrently, but for one session in the order of the batches; WireError
    ends the connection, StoreUnavailable makes the agent hold. `gone` is called once for each `welcome` that returned.
    """

    async def welcome(self, session: "Session", hello: Hello) -> Welcome:
        """Accept the agent."""
        ...

    async def claim(self, session: "Session", claim: Claim) -> Granted:
        """Give the agent its streams."""
        ...

    async def submit(self, session: "Session", batch: Batch) -> int:
        """Commit a batch."""
        ...

    async def report(self, session: "Session", presence: Presence) -> None:
        """Keep what the agent says about itself."""
        ...

    def usage(self, session: "Session", usage: Usage) -> None:
        """Keep what nodes and pods use, at once; LinkRefused for what this agent cannot know."""
        ...

    async def gone(self, session: "Session") -> None:
        """Note that the conversation ended."""
        ...


class Session:
    """An agent's conversation, as others may use it: who it is, and a way to talk to it. Compared by identity."""

    def __init__(
        self,
        hello: Hello,
        *,
        connected_at: int,
        remote: str,
        outgoing: Outgoing,
        requests: Requests,
        end: Callable[[str], None],
        bound_node: str = "",
    ) -> None:
        self.agent = hello.agent
        self.scope = hello.scope
        self.node = hello.node
        self.spool_id = hello.spool_id
        self.former_spool_ids = hello.former_spool_ids
        self.instance = hello.instance
        self.bound_node = bound_node
        self.connected_at = connected_at
        self.remote = remote
        self._outgoing = outgoing
        self._requests = requests
        self._end = end

    async def send(self, message: FromAggregator) -> None:
        """Queue *message*; never waits. An agent that does not take what was queued is cut off."""
        self._outgoing.put(message)

    def end(self, reason: str) -> None:
        """End the conversation; the agent comes again soon, and claims its streams anew."""
        self._end(reason)

    def request(self, verb: str, arguments: bytes = b"", deadline_seconds: float = 10.0) -> AsyncIterator[bytes]:
        """
        Ask the agent to do *verb*; yield the payloads of its answer.

        Raises RequestFailed when the agent says so, is gone, or has not ended by the deadline.
        """
        return self._requests.ask(verb, arguments, deadline_seconds)


class Connection:
    """
    The life of one websocket, from Hello to its end.

    `run` is called once. `refuse` may be called from other tasks: it ends the conversation with that message.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        *,
        ingest: Ingest,
        metrics: LinkMetrics,
        hello_seconds: float = HELLO_SECONDS,
        send_seconds: float = 30.0,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._socket = socket
        self._ingest = ingest
        self._metrics = metrics
        self._hello_seconds = hello_seconds
        self._busy_seconds = busy_seconds
        self._refusal: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self._outgoing = Outgoing(socket, transport, send_seconds=send_seconds)
        self._claims: asyncio.Queue[Claim] = asyncio.Queue(MAX_CLAIMS)
        self._report: Presence | None = None
        self._reported = asyncio.Event()
        self.hello: Hello | None = None

    def refuse(self, code: str, message: str, retry_after_seconds: float | None = None) -> None:
        """End the conversation; the first reason given is the one that is told and counted."""
        if not self._refusal.done():
            refused = Refused(code=code, message=message[:512], retry_after_seconds=retry_after_seconds)  # type: ignore[arg-type]
            self._refusal.set_result(refused)

    async def first_message(self) -> Hello | None:
        """Return the Hello; None when the connection ended, or was refused, before one."""
        try:
            async with asyncio.timeout(self._hello_seconds):
                message = await self._receive()
        except TimeoutError:
            self.refuse("malformed", f"no hello within {self._hello_seconds:g} s")
            return None
        except WireError as error:
            self._refuse_wire(error)
            return None
        if message is None:
            return None
        if not isinstance(message, Hello):
            self.refuse("malformed", f"the first message must be Hello, not {type(message).__name__}")
            return None
        if message.protocol != PROTOCOL_VERSION:
            self.refuse("protocol", f"the agent speaks protocol {message.protocol}, this aggregator {PROTOCOL_VERSION}")
            return None
        self.hello = message
        return message

    async def converse(
        self, hello: Hello, *, connected_at: int, remote: str, on_welcomed: Callable[[], None], bound_node: str = ""
    ) -> None:
        """
        Welcome the agent, call *on_welcomed*, and talk until either side ends it; `farewell` comes after.

        *bound_node* is the node that the agent's credential is good for alone, "" for none.
        """
        requests = Requests(self._outgoing, credit=0)
        session = Session(
            hello,
            connected_at=connected_at,
            remote=remote,
            outgoing=self._outgoing,
            requests=requests,
            end=lambda reason: self.refuse("superseded", reason, self._busy_seconds),
            bound_node=bound_node,
        )
        try:
            welcome = await self._ingest.welcome(session, hello)
        except LinkRefused as error:
            self.refuse(error.code, str(error), error.retry_after_seconds)
            return
        except StoreError as error:
            self.refuse("stopping", f"the journal is not available: {error}", self._busy_seconds)
            return
        try:
            on_welcomed()
            requests.open(welcome.credit)
            self._outgoing.put(welcome)
            await self._talk(session, welcome, requests)
        finally:
            requests.close("the agent is gone")
            with contextlib.suppress(StoreError):
                await self._ingest.gone(session)

    async def farewell(self) -> None:
        """Tell the agent why, if there is a reason to, and close."""
        if self._refusal.done():
            refused = self._refusal.result()
            self._metrics.errors.labels(refused.code).inc()
            _LOG.warning(
                "link.refused", agent=self.hello.agent if self.hello else "", code=refused.code, reason=refused.message
            )
            await self._outgoing.last(refused)
        await self._outgoing.close()

    async def _talk(self, session: Session, welcome: Welcome, requests: Requests) -> None:
        batches = Batches(
            lambda batch: self._ingest.submit(session, batch),
            last_n=welcome.last_n,
            limit=2 * welcome.window_batches,
            on_committed=self._outgoing.acknowledge,
            on_failed=self._batch_failed,
        )
        parts: list[asyncio.Task[None]] = [
            asyncio.create_task(self._outgoing.run(), name="link-send"),
            asyncio.create_task(self._receive_all(session, batches, requests), name="link-receive"),
            asyncio.create_task(self._claim_all(session), name="link-claims"),
            asyncio.create_task(self._report_all(session), name="link-reports"),
        ]
        try:
            # Ended by whichever comes first: a refusal, a peer that went, a send that timed out.
            ends: list[asyncio.Future[Any]] = [*parts, self._refusal]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
            await batches.close()
        for result in results:
            if isinstance(result, Exception):
                self._part_failed(result)

    def _part_failed(self, error: Exception) -> None:
        if isinstance(error, WireError):
            self._refuse_wire(error)
        elif isinstance(error, LinkRefused):
            self.refuse(error.code, str(error), error.retry_after_seconds)
        elif isinstance(error, StoreError):
            self.refuse("stopping", f"the journal is not available: {error}", self._busy_seconds)
        elif not isinstance(error, OSError | TimeoutError):
            raise error

    async def _receive_all(self, session: Session, batches: Batches, requests: Requests) -> None:
        while (message := await self._receive()) is not None:
            match message:
                case Batch():
                    self._metrics.received_bytes.inc(len(message.records))
                    batches.take(message)
                case Claim():
                    try:
                        self._claims.put_nowait(message)
                    except asyncio.QueueFull:
                        raise LinkRefused("malformed", f"more than {MAX_CLAIMS} claims are waiting") from None
                case Report():
                    self._report = message.presence
                    self._reported.set()
                case Usage():
                    self._ingest.usage(session, message)
                    # Hundreds of pods are milliseconds, and what waits in the socket is read without a turn between.
                    await asyncio.sleep(0)
                case Reply():
                    requests.answered(message)
                case Hello():
                    raise LinkRefused("malformed", "a second hello")

    async def _receive(self) -> FromAgent | None:
        """Return the next message, None at the end. Raises WireError."""
        frame: WSMessage = await self._socket.receive()
        if frame.type is WSMsgType.BINARY:
            return decode_from_agent(frame.data)
        if frame.type is WSMsgType.TEXT:
            raise WireError("a text frame; the link is binary")
        if isinstance(frame.data, WebSocketError) and frame.data.code == WSCloseCode.MESSAGE_TOO_BIG:
            raise FrameTooLarge(f"a frame over the limit of {MAX_MESSAGE_BYTES} bytes")
        if self._socket.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            self._metrics.errors.labels("lost").inc()
        return None

    async def _claim_all(self, session: Session) -> None:
        while True:
            claim = await self._claims.get()
            while True:
                try:
                    granted = await self._ingest.claim(session, claim)
                except StoreUnavailable:
                    await asyncio.sleep(self._busy_seconds)
                    continue
                break
            self._outgoing.put(granted)

    async def _report_all(self, session: Session) -> None:
        while True:
            await self._reported.wait()
            self._reported.clear()
            presence, self._report = self._report, None
            if presence is not None:
                # A report is told again soon; one that the journal cannot take now is not worth a retry.
                with contextlib.suppress(StoreUnavailable):
                    await self._ingest.report(session, presence)

    def _batch_failed(self, error: Exception) -> None:
        if isinstance(error, StoreUnavailable):
            self._outgoing.put(Busy(retry_after_seconds=self._busy_seconds, reason=str(error)[:256]))
        elif isinstance(error, WireError | LinkRefused | StoreError):
            self._part_failed(error)
        else:
            _LOG.error("link.batch_failed", error=repr(error)[:256], agent=self.hello.agent if self.hello else "")
            self.refuse("stopping", "internal error", self._busy_seconds)

    def _refuse_wire(self, error: WireError) -> None:
        codes: dict[type[WireError], str] = {FrameTooLarge: "tooLarge", ProtocolMismatch: "protocol"}
        self.refuse(codes.get(type(error), "malformed"), str(error))
