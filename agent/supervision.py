"""
The watchers of a process: one for each kind that the cluster serves, and what link and watchers tell each other.

Not the watching (watch/) and not the conversation (link/).
"""

import asyncio
import random
from collections.abc import Sequence
from typing import NoReturn, Protocol

import structlog

from agent.errors import RequestFailed, Undecodable
from agent.spool.spool import Spool
from agent.watch.discovery import discover
from agent.watch.kinds import WatchedKind
from agent.watch.watcher import Watcher, WatchTools
from kubescribe.runtime.backoff import Backoff
from kubescribe.wire.link import Granted, StreamClaim, Welcome
from kubescribe.wire.records import StreamHealth
from kubescribe.wire.streams import stream_name

_LOG = structlog.get_logger(__name__)

DISCOVERY_SECONDS = (60.0, 120.0)
"""How often the cluster is asked for kinds that it did not serve before (a CRD that was installed), drawn evenly."""


class Claims(Protocol):
    """Where streams are claimed."""

    def claim(self, streams: Sequence[StreamClaim]) -> None:
        """Hold *streams* from now on."""
        ...


class Supervisor:
    """
    Finds the kinds, runs their watchers, and passes on what the link tells (it is the link's `LinkApp`).

    `attach` names the link before `run`; the two need each other.
    """

    def __init__(self, tools: WatchTools, spool: Spool, kinds: Sequence[WatchedKind]) -> None:
        self._tools = tools
        self._spool = spool
        self._kinds = tuple(kinds)
        self._watchers: dict[str, Watcher] = {}
        self._claims: Claims | None = None
        self.is_discovered = False

    def attach(self, claims: Claims) -> None:
        """Take the link on which streams are claimed."""
        self._claims = claims

    def health(self) -> tuple[StreamHealth, ...]:
        """Return how every stream does, by name."""
        return tuple(self._watchers[name].health() for name in sorted(self._watchers))

    async def run(self) -> NoReturn:
        """Watch, until cancelled."""
        backoff = Backoff(first_seconds=0.8, cap_seconds=30.0)
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._look(group)
                except (RequestFailed, Undecodable) as error:
                    _LOG.warning("watch.discovery_failed", error=str(error)[:256])
                    await backoff.wait()
                else:
                    backoff.reset()
                    await asyncio.sleep(random.uniform(*DISCOVERY_SECONDS))

    async def _look(self, group: asyncio.TaskGroup) -> None:
        session, traits = self._tools.session, self._tools.traits
        if not traits.minor:
            traits.minor = await session.server_minor()
        missing = [kind for kind in self._kinds if not self._is_watched(kind)]
        served = await discover(session, missing) if missing else ()
        if served:
            _LOG.info("watch.kinds_found", count=len(served))
            _LOG.debug("watch.kinds_named", kinds=[kind.name for kind in served])
        self._start(group, served)
        self.is_discovered = True

    def _is_watched(self, kind: WatchedKind) -> bool:
        return any(watcher.kind.name == kind.name for watcher in self._watchers.values())

    def _start(self, group: asyncio.TaskGroup, kinds: Sequence[WatchedKind]) -> None:
        marks = self._spool.marks()
        new: list[Watcher] = []
        for kind in kinds:
            watcher = Watcher(kind, None, self._tools, marks.get(stream_name(kind.stream_resource)))
            new.append(watcher)
            self._watchers[watcher.stream] = watcher
        if self._claims is not None:
            self._claims.claim([StreamClaim(name=watcher.stream, kind=watcher.kind.name) for watcher in new])
        for watcher in new:
            group.create_task(watcher.run(), name=f"watch {watcher.stream}")

    # What the link tells.

    async def on_welcome(self, welcome: Welcome) -> None:
        """Take the redaction key: watching may begin."""
        self._tools.keyring.provide(welcome.redaction_key)

    async def on_grants(self, granted: Granted) -> None:
        """Tell each watcher where its stream goes on."""
        marks = self._spool.marks()
        for grant in granted.streams:
            watcher = self._watchers.get(grant.name)
            if watcher is not None:
                watcher.granted(grant, marks.get(grant.name))

    async def on_relist(self, streams: Sequence[str], epoch: int, reason: str) -> None:
        """Tell the watchers of *streams* to send Snapshots."""
        for name in streams:
            watcher = self._watchers.get(name)
            if watcher is not None:
                watcher.relist(epoch, reason)

    async def on_adopt(self, streams: Sequence[StreamClaim]) -> None:
        """Do nothing: the pods of every node are watched already."""


def streams_of(kinds: Sequence[WatchedKind]) -> int:
    """Return how many connections *kinds* need at most."""
    return len(kinds) + 16
