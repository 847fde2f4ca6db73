"""Which of the wanted kinds the cluster serves: asked until it has told, then now and then: a CRD may be installed."""

import asyncio
import random
from collections.abc import Sequence
from typing import NoReturn

import structlog

from agent.errors import RequestFailed, Undecodable
from agent.supervision.watchers import Watchers
from agent.watch.discovery import discover
from agent.watch.kinds import PODS, WatchedKind
from agent.watch.sharing import WatchTools
from kubescribe.runtime.backoff import Backoff

_LOG = structlog.get_logger(__name__)

DISCOVERY_SECONDS = (60.0, 120.0)
"""How often the cluster is asked for kinds that it did not serve before, drawn evenly."""


class KindFinder:
    """Starts a watcher for each kind that it finds; *pods_of* is the node of the pods' selector, None for all pods."""

    def __init__(
        self, tools: WatchTools, watchers: Watchers, kinds: Sequence[WatchedKind], *, pods_of: str | None = None
    ) -> None:
        self._tools = tools
        self._watchers = watchers
        self._kinds = tuple(kinds)
        self._pods_of = pods_of
        self._found: set[str] = set()
        self.has_found = False
        """Whether the cluster has told since `run` began."""

    async def run(self) -> NoReturn:
        """Look for kinds until cancelled, inside the watchers' `open`."""
        self.has_found = False
        self._found.clear()
        backoff = Backoff(first_seconds=0.8, cap_seconds=30.0)
        while True:
            try:
                await self._look()
            except (RequestFailed, Undecodable) as error:
                _LOG.warning("watch.discovery_failed", error=str(error)[:256])
                await backoff.wait()
            else:
                backoff.reset()
                await asyncio.sleep(random.uniform(*DISCOVERY_SECONDS))

    async def _look(self) -> None:
        session, traits = self._tools.session, self._tools.traits
        if not traits.minor:
            traits.minor = await session.server_minor()
        # Not what is watched: an adopted node's pods are no reason not to watch those without a node.
        missing = [kind for kind in self._kinds if kind.name not in self._found]
        served = await discover(session, missing) if missing else ()
        if served:
            _LOG.info("watch.kinds_found", count=len(served))
            _LOG.debug("watch.kinds_named", kinds=[kind.name for kind in served])
            self._found.update(kind.name for kind in served)
            self._watchers.start([(kind, self._pods_of if kind.name == PODS.name else None) for kind in served])
        self.has_found = True
