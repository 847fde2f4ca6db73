"""
One client of the feed: what it says is obeyed, its subscriptions are tasks of its own group.

What goes out is written by hub and subscriptions, in whole frames (see outlets/frames.py).
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from aggregator.errors import BadQuery, StoreClosed, StoreError
from aggregator.outlets.catchup import Origin, Subscription
from aggregator.outlets.clients import Client, ClientGone
from aggregator.outlets.frames import encode_text
from aggregator.web import feed_messages as said
from aggregator.web.feed_messages import BadMessage
from aggregator.web.logfeed import LOGS_TOPIC, LogSubscription
from aggregator.web.parameters import BadParameter
from aggregator.web.parts import WebParts

_MAX_BAD_MESSAGES = 20
_HELLO_SECONDS = 10.0
_UNAUTHORIZED = 4401
_BAD_MESSAGE = 4400

_log = structlog.get_logger()


class Conversation:
    """One client's messages and subscriptions."""

    def __init__(
        self,
        parts: WebParts,
        client: Client,
        socket: web.WebSocketResponse,
        group: asyncio.TaskGroup,
        *,
        known: bool,
    ) -> None:
        self._parts = parts
        self._hub = parts.hub
        self._client = client
        self._socket = socket
        self._group = group
        self._known = known
        self._resume: said.Resume | None = None
        self._tasks: dict[str, tuple[Subscription | LogSubscription, asyncio.Task[None]]] = {}
        self._bad = 0

    async def listen(self) -> None:
        """Obey the client until the connection ends."""
        try:
            while True:
                # A peer that speaks and does not listen waits here: its answers would pile up.
                if self._client.is_full:
                    await self._client.drained()
                async with asyncio.timeout(None if self._known else _HELLO_SECONDS):
                    message = await self._socket.receive()
                self._client.heard()
                match message.type:
                    case WSMsgType.TEXT | WSMsgType.BINARY:
                        await self._obey(message.data)
                    case WSMsgType.PING:
                        await self._socket.pong(message.data)
                    case WSMsgType.PONG:
                        pass
                    case _:
                        return
        except ClientGone as gone:
            self._hub.drop(self._client, gone.cause)
        except TimeoutError:
            await self._close(_UNAUTHORIZED, "unauthorized")
        except ConnectionError:
            return

    def end(self) -> None:
        """Cancel every subscription."""
        for _, task in self._tasks.values():
            task.cancel()

    async def _obey(self, data: bytes) -> None:
        try:
            message = said.decode_message(data)
            match message:
                case _ if not (self._known or isinstance(message, said.Hello)):
                    self._refuse("the first message must be hello with a token")
                case said.Hello():
                    await self._hello(message)
                case said.Subscribe():
                    self._subscribe(message)
                case said.Update():
                    await self._update(message)
                case said.Unsubscribe():
                    await self._cancel(message.id)
                case said.Ping():
                    self._client.send(b'{"type":"pong","t":%b}' % bytes(message.t))
                case said.Pong():
                    pass
        except BadMessage as error:
            self._error(error.code, str(error), error.id)
            self._bad += 1
            if self._bad > _MAX_BAD_MESSAGES:
                self._parts.hub.metrics.dropped.labels("bad_messages").inc()
                await self._close(_BAD_MESSAGE, "tooManyBadMessages")

    def _refuse(self, why: str) -> None:
        raise BadMessage("unauthorized", why)

    async def _hello(self, hello: said.Hello) -> None:
        if hello.token is not None and not self._parts.guard.admits(hello.token):
            self._error("unauthorized", "the token is not known", None)
            await self._close(_UNAUTHORIZED, "unauthorized")
            return
        if hello.token is None and not self._known:
            self._error("unauthorized", "a token is needed", None)
            await self._close(_UNAUTHORIZED, "unauthorized")
            return
        self._known = True
        self._resume = hello.resume
        limits = self._hub.limits
        welcome = {
            "type": "welcome",
            "journalId": self._hub.journal_id,
            "heartbeatSeconds": limits.heartbeat_seconds,
            "serverTime": self._hub.time(),
            "version": self._parts.version,
            "lastSeq": self._hub.last_seq,
            "resumed": hello.resume is not None and hello.resume.journal_id == self._hub.journal_id,
            "limits": {"subscriptions": limits.max_subscriptions, "messageBytes": limits.max_message_bytes},
        }
        self._client.send(encode_text(welcome))

    def _subscribe(self, message: said.Subscribe) -> None:
        if message.id in self._tasks:
            raise BadMessage("idInUse", f"id={message.id!r} is subscribed already", message.id)
        limit = self._hub.limits.max_subscriptions
        if len(self._tasks) >= limit:
            raise BadMessage("tooManySubscriptions", f"at most {limit} subscriptions on one connection", message.id)
        if message.topic == LOGS_TOPIC:
            self._tail(message.id, message.filter)
            return
        topic = said.read_topic(message.topic, message.id)
        wanted = said.read_filter(message.filter, message.id)
        subscription = Subscription(
            self._hub, self._parts.journal, self._client, name=message.id, topic=topic, wanted=wanted
        )
        self._start(subscription, self._origin(message), snapshot=message.snapshot)

    def _tail(self, identifier: str, values: dict[str, Any] | None) -> None:
        query = said.read_tail(values, identifier, self._parts.now_ns())
        tail = LogSubscription(self._hub, self._parts.tails, self._client, name=identifier, query=query)
        self._begin(tail, tail.run())

    def _origin(self, message: said.Subscribe) -> Origin:
        try:
            origin = said.read_origin(message.origin)
        except BadParameter as error:
            raise BadMessage("badFrom", str(error), message.id) from error
        resume = self._resume
        if resume is None:
            return origin
        if message.origin is None and message.id in resume.subs:
            origin = Origin(seq=max(0, resume.subs[message.id]))
        foreign = resume.journal_id != self._hub.journal_id and origin.seq is not None
        return Origin(seq=origin.seq, foreign=True) if foreign else origin

    async def _update(self, message: said.Update) -> None:
        if message.id not in self._tasks:
            raise BadMessage("unknownId", f"id={message.id!r} is not subscribed", message.id)
        if isinstance(self._tasks[message.id][0], LogSubscription):
            said.read_tail(message.filter, message.id, self._parts.now_ns())
            await self._cancel(message.id)
            self._tail(message.id, message.filter)
            return
        wanted = said.read_filter(message.filter, message.id)
        before = await self._cancel(message.id)
        after = Subscription(
            self._hub, self._parts.journal, self._client, name=before.id, topic=before.topic, wanted=wanted
        )
        self._start(after, Origin(seq=before.position), snapshot=False)

    async def _cancel(self, identifier: str) -> Subscription | LogSubscription:
        found = self._tasks.pop(identifier, None)
        if found is None:
            raise BadMessage("unknownId", f"id={identifier!r} is not subscribed", identifier)
        subscription, task = found
        task.cancel()
        await asyncio.wait([task])
        return subscription

    def _start(self, subscription: Subscription, origin: Origin, *, snapshot: bool) -> None:
        self._begin(subscription, subscription.run(origin, snapshot=snapshot))

    def _begin(self, subscription: Subscription | LogSubscription, run: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(self._serve(subscription, run), name=f"feed subscription {subscription.id}")
        self._tasks[subscription.id] = (subscription, task)

    async def _serve(self, subscription: Subscription | LogSubscription, run: Coroutine[Any, Any, None]) -> None:
        try:
            await run
        except ClientGone as gone:
            if gone.cause != "closed":
                self._hub.drop(self._client, gone.cause)
        except BadMessage as error:
            self._error(error.code, str(error), error.id, retryable=True)
        except BadQuery as error:
            self._error("badFilter", str(error), subscription.id)
        except StoreClosed:
            self._error("stopping", "the aggregator is stopping", subscription.id, retryable=True)
        except StoreError as error:
            _log.warning("feed.replay_failed", error=str(error)[:256])
            self._error("unavailable", "the journal does not answer", subscription.id, retryable=True)
        self._tasks.pop(subscription.id, None)

    def _error(self, code: str, message: str, identifier: str | None, *, retryable: bool = False) -> None:
        body: dict[str, object] = {"type": "error", "code": code, "message": message, "retryable": retryable}
        if identifier is not None:
            body["id"] = identifier
        self._client.send(encode_text(body))

    async def _close(self, code: int, reason: str) -> None:
        self._client.send(encode_text({"type": "bye", "reason": reason, "retryAfterMs": None}))
        self.end()
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason.encode())
