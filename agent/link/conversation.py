"""
One connection to the aggregator, from Hello to its end.

Not reconnecting (link.py), nor what to do with grants (the app).

Two lanes on one socket: batches are sent one by one, each when the window has room; whatever else is to be sent takes
its turn before the next batch, so that it waits for one batch at most (under 1 MiB) and never for a replay.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiohttp import ClientConnectionResetError, ClientError, ClientWebSocketResponse, WSMsgType

from agent.link.errors import LinkDown, LinkRefused, Renumbered
from agent.link.requests import Handler, Requests
from agent.link.window import Window
from agent.spool.errors import SpoolError
from agent.spool.frames import Frame
from agent.spool.spool import Spool
from kubescribe.wire.codec import decode_from_aggregator, encode_message
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import (
    PROTOCOL_VERSION,
    Ack,
    Adopt,
    Batch,
    Busy,
    Claim,
    Credit,
    FromAgent,
    FromAggregator,
    Granted,
    Hello,
    Refused,
    Relist,
    Request,
    StreamClaim,
    Welcome,
)

_LOG = structlog.get_logger(__name__)


class LinkApp(Protocol):
    """
    What the link tells the agent. Called in order, between two messages: return soon, do the work elsewhere.

    `on_relist` asks for a list of *streams* again; *epoch* is the journal's now, 0 when it is not the journal that asks
    but this agent's own spool, which dropped records of theirs.
    """

    async def on_welcome(self, welcome: Welcome) -> None:
        """Take the journal's id, epoch and redaction key."""
        ...

    async def on_grants(self, granted: Granted) -> None:
        """Take the resume points of the streams that were claimed."""
        ...

    async def on_relist(self, streams: Sequence[str], epoch: int, reason: str) -> None:
        """Send Snapshots of *streams*."""
        ...

    async def on_adopt(self, streams: Sequence[StreamClaim]) -> None:
        """Hold *streams* of nodes besides the own ones, and no others."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """
    How long the link waits.

    `silence_seconds` bounds a half-open connection: pings go out every third of it. `progress_seconds` is how long a
    batch may be under way without an Ack or a Busy; a commit takes milliseconds, a full disk says Busy.
    """

    connect_seconds: float = 10.0
    welcome_seconds: float = 30.0
    send_seconds: float = 30.0
    silence_seconds: float = 45.0
    progress_seconds: float = 120.0


class Conversation:
    """One websocket; `run` is called once and raises LinkEnded when it is over."""

    def __init__(
        self,
        socket: ClientWebSocketResponse,
        spool: Spool,
        app: LinkApp,
        *,
        handlers: Mapping[str, Handler],
        deadlines: Deadlines,
        jitter: Callable[[float, float], float],
    ) -> None:
        self._socket = socket
        self._spool = spool
        self._app = app
        self._handlers = handlers
        self._deadlines = deadlines
        self._jitter = jitter
        self._sending = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._window = Window(batches=1, max_bytes=0)
        self._acknowledged = 0
        self._base = 0
        self._held_until = 0.0
        self._rewound = asyncio.Event()
        self.epoch = 0
        self.acks = 0
        self.takes_usage = False

    @property
    def under_way(self) -> int:
        """How many batches wait for their acknowledgement."""
        return len(self._window)

    async def open(self, hello: Hello, streams: Sequence[StreamClaim]) -> None:
        """Say Hello, take the Welcome, claim *streams*. Raises LinkEnded."""
        self._base = self._spool.base
        await self.send(hello)
        try:
            async with asyncio.timeout(self._deadlines.welcome_seconds):
                welcome = await self._receive()
        except TimeoutError:
            raise LinkDown(f"no welcome within {self._deadlines.welcome_seconds:g} s") from None
        if not isinstance(welcome, Welcome):
            raise LinkDown(f"expected Welcome, the aggregator sent {type(welcome).__name__}")
        if welcome.protocol != PROTOCOL_VERSION:
            raise LinkRefused("protocol", f"the aggregator speaks {welcome.protocol}, this agent {PROTOCOL_VERSION}")
        await self._welcomed(welcome)
        if streams:
            await self.send(Claim(streams=tuple(streams)))

    async def run(self) -> None:
        """Talk until it ends; always raises: LinkEnded, SpoolError for a spool that was closed."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._feed_forever(), name="link-batches")
                group.create_task(self._receive_forever(), name="link-receive")
                group.create_task(self._watch_progress(), name="link-progress")
        except BaseExceptionGroup as errors:
            # One ended it; what the others raised while they were torn down says nothing new.
            raise errors.exceptions[0] from None
        finally:
            await self._requests.close()

    async def send(self, message: FromAgent) -> None:
        """Send *message* before the next batch. Raises LinkDown."""
        async with self._sending:
            try:
                async with asyncio.timeout(self._deadlines.send_seconds):
                    await self._socket.send_bytes(encode_message(message))
            except TimeoutError:
                raise LinkDown(f"the aggregator did not read for {self._deadlines.send_seconds:g} s") from None
            except (ClientConnectionResetError, ClientError, ConnectionError, RuntimeError) as error:
                raise LinkDown(f"the connection broke: {error}"[:256]) from error

    async def _welcomed(self, welcome: Welcome) -> None:
        self._requests = Requests(self._handlers, self.send, credit=welcome.credit)
        self._window = Window(batches=welcome.window_batches, max_bytes=welcome.window_bytes)
        self.epoch = welcome.epoch
        self.takes_usage = welcome.takes_usage
        try:
            await self._spool.welcome(welcome.journal_id, welcome.redaction_key)
            after = await self._spool.resume_after(welcome.last_n)
        except OSError as error:
            raise LinkDown(f"the spool cannot be written: {error}") from error
        if after is None:
            raise Renumbered("the spool has a new id")
        self._acknowledged = after
        await self._app.on_welcome(welcome)
        await self._settle_drops()

    async def _receive(self) -> FromAggregator:
        frame = await self._socket.receive()
        if frame.type is WSMsgType.BINARY:
            try:
                message = decode_from_aggregator(frame.data)
            except WireError as error:
                raise LinkDown(f"the aggregator sent {error}") from error
            if isinstance(message, Refused):
                raise LinkRefused(message.code, message.message, message.retry_after_seconds)
            return message
        if frame.type is WSMsgType.TEXT:
            raise LinkDown("the aggregator sent a text frame")
        raise LinkDown(f"the connection ended (code {self._socket.close_code})")

    async def _receive_forever(self) -> None:
        while True:
            match await self._receive():
                case Ack(n=n):
                    await self._acked(n + self._base)
                case Busy() as busy:
                    await self._hold(busy)
                case Granted() as granted:
                    await self._app.on_grants(granted)
                case Relist() as relist:
                    self.epoch = relist.epoch
                    await self._app.on_relist(relist.streams, relist.epoch, relist.reason)
                case Adopt(streams=streams):
                    await self._app.on_adopt(streams)
                case Request() as request:
                    self._requests.begin(request)
                case Credit(messages=messages):
                    await self._requests.add_credit(messages)
                case other:
                    raise LinkDown(f"the aggregator sent a second {type(other).__name__}")

    async def _acked(self, n: int) -> None:
        self.acks += 1
        async with self._moved:
            self._acknowledged = max(self._acknowledged, n)
            self._window.acknowledge(n)
            self._moved.notify_all()
        await self._spool.acknowledge(n)
        await self._settle_drops()

    async def _settle_drops(self) -> None:
        """Report what the spool dropped, once there is room for the Snapshots that mend it."""
        if not self._spool.has_drops or not self._spool.is_half_empty:
            return
        try:
            relist = await self._spool.settle_drops()
        except OSError as error:
            _LOG.warning("link.drops_not_told", error=str(error))
            return
        _LOG.info("link.drops_told", streams=len(relist))
        if relist:
            await self._app.on_relist(relist, 0, "spool_dropped")

    async def _hold(self, busy: Busy) -> None:
        seconds = busy.retry_after_seconds * self._jitter(1.0, 1.5)
        _LOG.warning("link.held", seconds=round(seconds, 1), reason=busy.reason[:256])
        async with self._moved:
            self._held_until = asyncio.get_running_loop().time() + seconds
            self._window.clear()
            self._rewound.set()

    async def _feed_forever(self) -> None:
        """Send the spool; begin again behind the last acknowledged batch whenever the aggregator was busy."""
        while True:
            await asyncio.sleep(self._held_until - asyncio.get_running_loop().time())
            self._rewound.clear()
            feed = asyncio.create_task(self._feed(self._acknowledged), name="link-feed")
            rewound = asyncio.create_task(self._rewound.wait(), name="link-rewound")
            try:
                await asyncio.wait((feed, rewound), return_when=asyncio.FIRST_COMPLETED)
            finally:
                feed.cancel()
                rewound.cancel()
                await asyncio.wait((feed, rewound))
            if not feed.cancelled() and (error := feed.exception()) is not None:
                raise error

    async def _feed(self, after: int) -> None:
        while True:
            for frame in await self._read(after):
                if frame.n != after + 1:
                    await self._renumber(frame)
                await self._wait_until(lambda frame=frame: self._window.has_room(len(frame.batch)))  # type: ignore[misc]
                self._window.add(frame.n, len(frame.batch), asyncio.get_running_loop().time())
                self._spool.note_sent(frame.n)
                after = frame.n
                await self.send(Batch(n=frame.n - self._base, count=frame.count, records=frame.batch))

    async def _read(self, after: int) -> list[Frame]:
        try:
            return await self._spool.read_after(after)
        except OSError as error:
            raise LinkDown(f"the spool cannot be read: {error}") from error
        except SpoolError as error:
            raise LinkDown(str(error)) from error

    async def _renumber(self, frame: Frame) -> None:
        """Go on behind a hole: what is under way is acknowledged first, then the spool takes a new id."""
        await self._wait_until(lambda: not self._window)
        try:
            await self._spool.renumber(frame.n - 1)
        except OSError as error:
            raise LinkDown(f"the spool cannot be written: {error}") from error
        raise Renumbered("records were dropped; the spool has a new id")

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(condition)

    async def _watch_progress(self) -> None:
        limit = self._deadlines.progress_seconds
        while True:
            await asyncio.sleep(limit / 4)
            oldest = self._window.oldest_at
            if oldest is not None and asyncio.get_running_loop().time() - oldest > limit:
                raise LinkDown(f"no acknowledgement for {limit:g} s")
