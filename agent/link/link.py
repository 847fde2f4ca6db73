"""
The agent's end of the link, for the life of the process: connects, reconnects, and says how it stands.

One conversation is conversation.py; what to do with grants and relists is the app's (`LinkApp`).
"""

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWSTimeout, WSServerHandshakeError

from agent.link.conversation import Conversation, Deadlines, LinkApp
from agent.link.errors import LinkDown, LinkEnded, LinkRefused, Renumbered
from agent.link.requests import Handler
from agent.spool.spool import Spool
from kubescribe.runtime.backoff import Backoff
from kubescribe.wire.link import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Claim, Hello, Report, StreamClaim, Usage
from kubescribe.wire.records import Presence

_LOG = structlog.get_logger(__name__)
PATH = "/ingest/v1"
_REFUSED_SECONDS = 15.0
"""At least this long after a refusal that needs somebody to change something."""

_RENUMBERED_AT_ONCE = 3
"""So many reconnections in a row are free; more means that the two sides cannot agree."""


_USAGE_SECONDS = 20.0
"""How old usage may be that is sent: the aggregator takes what comes for how it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """Where the aggregator is, and who this agent is. `token_file` is read anew for each connection."""

    url: str
    agent: str
    scope: str
    version: str
    instance: str
    profile: str = ""
    node: str = ""
    cluster: str = ""
    token_file: Path | None = None
    tls: ssl.SSLContext | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)

    @property
    def address(self) -> str:
        """The websocket's URL; http and https are taken for ws and wss."""
        url = self.url.rstrip("/").removesuffix(PATH)
        for plain, websocket in (("http://", "ws://"), ("https://", "wss://")):
            if url.startswith(plain):
                url = websocket + url.removeprefix(plain)
        return url + PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """How the link stands; `detail` is why it is not connected. Counts are since the process began."""

    state: Literal["connecting", "connected", "waiting", "refused"] = "connecting"
    detail: str = ""
    connections: int = 0
    refusals: int = 0
    under_way: int = 0
    epoch: int = 0


def default_backoff() -> Backoff:
    """Return full jitter from half a second to thirty; `Link` resets it at the first acknowledgement."""
    return Backoff(first_seconds=0.5, cap_seconds=30.0, healthy_seconds=30.0)


class Link:
    """
    The link; `run` it as a task. The other methods may be called at any time, connected or not.

    Claims are remembered and said anew on each connection, but for those of `claim_once`. Of reports only the newest is
    kept until it can be sent.
    """

    def __init__(
        self,
        config: LinkConfig,
        spool: Spool,
        app: LinkApp,
        *,
        handlers: Mapping[str, Handler] | None = None,
        backoff: Backoff | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._config = config
        self._spool = spool
        self._app = app
        self._handlers = dict(handlers or {})
        self._backoff = backoff or default_backoff()
        self._draw = draw
        self._status = LinkStatus()
        self._claims: dict[str, StreamClaim] = {}
        self._claimed: set[str] = set()
        self._passing: dict[str, StreamClaim] = {}
        """Claims for this connection that are still to be sent."""
        self._report: Presence | None = None
        self._usage: tuple[float, Sequence[Usage]] = (0.0, ())
        self._ready = asyncio.Event()
        self._conversation: Conversation | None = None

    @property
    def status(self) -> LinkStatus:
        """How the link stands now."""
        conversation = self._conversation
        if conversation is None:
            return self._status
        return replace(self._status, under_way=conversation.under_way, epoch=conversation.epoch)

    def claim(self, streams: Sequence[StreamClaim]) -> None:
        """Hold *streams* too: claimed now if connected, and on every connection from now on."""
        self._claims.update((stream.name, stream) for stream in streams)
        self._ready.set()

    def claim_once(self, streams: Sequence[StreamClaim]) -> None:
        """Claim *streams* on this connection only, whether or not they were claimed on it before."""
        if self._conversation is not None:
            self._passing.update((stream.name, stream) for stream in streams)
            self._ready.set()

    def release(self, names: Sequence[str]) -> None:
        """Claim *names* no longer on later connections."""
        for name in names:
            self._claims.pop(name, None)
            self._passing.pop(name, None)
            self._claimed.discard(name)

    def report(self, presence: Presence) -> None:
        """Send *presence* on the second lane; one that was not sent yet is replaced."""
        self._report = presence
        self._ready.set()

    def send_usage(self, round_of: Sequence[Usage]) -> None:
        """Send what one round told on the second lane, while it is new; a round that was not sent yet is replaced."""
        self._usage = (time.monotonic(), round_of)
        self._ready.set()

    async def run(self) -> None:
        """Stay connected, for ever; on cancel the connection is closed. Raises only what is a defect."""
        timeout = ClientTimeout(total=None, connect=self._config.deadlines.connect_seconds)
        renumbered = 0
        async with ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                try:
                    await self._connect(session)
                except Renumbered as error:
                    renumbered += 1
                    _LOG.info("link.renumbered", spool=self._spool.spool_id, reason=str(error))
                    if renumbered > _RENUMBERED_AT_ONCE:
                        await self._backoff.wait()
                    continue
                except LinkRefused as error:
                    self._fail("refused", error)
                    await self._backoff.wait(self._pause(error))
                except LinkEnded as error:
                    self._fail("waiting", error)
                    await self._backoff.wait()
                renumbered = 0

    def _fail(self, state: Literal["waiting", "refused"], error: LinkEnded) -> None:
        _LOG.warning("link.ended", state=state, reason=str(error)[:256], failures=self._backoff.failures)
        refusals = self._status.refusals + (state == "refused")
        self._status = replace(self._status, state=state, detail=str(error)[:256], refusals=refusals)

    def _pause(self, error: LinkRefused) -> float:
        if error.retry_after_seconds is not None:
            return error.retry_after_seconds
        return self._draw(_REFUSED_SECONDS, 2 * _REFUSED_SECONDS)

    async def _connect(self, session: ClientSession) -> None:
        config = self._config
        deadlines = config.deadlines
        try:
            async with asyncio.timeout(deadlines.connect_seconds):
                socket = await session.ws_connect(
                    config.address,
                    headers=self._headers(),
                    heartbeat=deadlines.silence_seconds / 3,
                    max_msg_size=MAX_MESSAGE_BYTES + 2,
                    compress=0,
                    timeout=ClientWSTimeout(ws_close=2.0),
                    ssl=config.tls or True,
                )
        except WSServerHandshakeError as error:
            if error.status in {401, 403}:
                raise LinkRefused("unauthorized", f"HTTP {error.status}: {_about_token(config.token_file)}") from error
            raise LinkDown(f"{config.address}: HTTP {error.status}") from error
        except TimeoutError as error:
            raise LinkDown(f"{config.address}: no connection within {deadlines.connect_seconds:g} s") from error
        except (ClientError, OSError, ValueError) as error:
            raise LinkDown(f"{config.address}: {error}"[:256]) from error
        try:
            conversation = Conversation(
                socket, self._spool, self._app, handlers=self._handlers, deadlines=deadlines, jitter=self._draw
            )
            await self._converse(conversation)
        finally:
            self._conversation = None
            self._passing.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3.0):
                    await socket.close()

    async def _converse(self, conversation: Conversation) -> None:
        claims = list(self._claims.values())
        await conversation.open(self._hello(), claims)
        # What was released meanwhile must be claimed anew should it come back.
        self._claimed = {claim.name for claim in claims} & self._claims.keys()
        self._conversation = conversation
        self._status = replace(self._status, state="connected", detail="", connections=self._status.connections + 1)
        _LOG.info("link.connected", url=self._config.address, connections=self._status.connections)
        self._ready.set()
        control = asyncio.create_task(self._control(conversation), name="link-control")
        talk = asyncio.create_task(conversation.run(), name="link-talk")
        try:
            await asyncio.wait((control, talk), return_when=asyncio.FIRST_COMPLETED)
        finally:
            control.cancel()
            talk.cancel()
            await asyncio.wait((control, talk))
            if conversation.acks:
                self._backoff.reset()
        for task in (talk, control):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _control(self, conversation: Conversation) -> None:
        """Send new claims and the newest report, as they come."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            new = [claim for name, claim in self._claims.items() if name not in self._claimed]
            new += self._passing.values()
            self._passing.clear()
            if new:
                self._claimed.update(claim.name for claim in new)
                await conversation.send(Claim(streams=tuple(new)))
            presence, self._report = self._report, None
            if presence is not None:
                await conversation.send(Report(presence=presence))
            (read_at, told), self._usage = self._usage, (0.0, ())
            if told and conversation.takes_usage and time.monotonic() - read_at < _USAGE_SECONDS:
                for part in told:
                    await conversation.send(part)

    def _hello(self) -> Hello:
        config = self._config
        return Hello(
            protocol=PROTOCOL_VERSION,
            agent=config.agent,
            scope=config.scope,
            version=config.version,
            instance=config.instance,
            spool_id=self._spool.spool_id,
            cluster_uid=self._spool.cluster_uid,
            cluster=config.cluster,
            node=config.node,
            former_spool_ids=self._spool.former_spool_ids,
        )

    def _headers(self) -> dict[str, str]:
        path = self._config.token_file
        if path is None:
            return {}
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise LinkDown(f"token file {path} cannot be read: {error}"[:256]) from error
        if not token.isascii() or not token.isprintable():
            raise LinkDown(f"token file {path} does not hold one line of printable ASCII")
        return {"Authorization": f"Bearer {token}"}


def _about_token(path: Path | None) -> str:
    return "no token was presented; give one with --token-file" if path is None else f"the token in {path} is not known"
