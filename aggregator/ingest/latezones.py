"""
Zones that the journal learned after their agent was welcomed: the agent waits for a while before it names without.

In a new installation the agents of the nodes are there before the first Node is written; and a node's cloud may tell
its zone when the agent runs already.
"""

import asyncio
from collections.abc import Iterable

import structlog

from aggregator.errors import RequestFailed
from aggregator.ingest.connection import Session
from aggregator.ingest.zones import ZonesOf
from aggregator.records import Head
from kubescribe.wire.codec import encode_zones
from kubescribe.wire.link import ZONES

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 2.0
"""A Node may be committed between the look for the Welcome and the waiting."""


class LateZones:
    """Node agents whose zone is not known yet; without *zones_of* none is told. `close` at the end."""

    def __init__(self, zones_of: ZonesOf | None) -> None:
        self._zones_of = zones_of
        self._waiting: dict[str, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def wait(self, session: Session) -> None:
        """Tell the agent of *session*, which was just welcomed without a zone, as soon as there is one."""
        if self._zones_of is None:
            return
        self._waiting[session.node] = session
        self._look(session.node, after_seconds=_LOOK_AGAIN_SECONDS)

    def gone(self, session: Session) -> None:
        """Forget *session*."""
        if self._waiting.get(session.node) is session:
            del self._waiting[session.node]

    def committed(self, nodes: Iterable[Head]) -> None:
        """Look again at those of *nodes* whose agents wait."""
        for node in {it.name for it in nodes} & self._waiting.keys():
            self._look(node)

    async def close(self) -> None:
        """Tell nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look(self, node: str, *, after_seconds: float = 0.0) -> None:
        # Owned by this object; `close` cancels and awaits it.
        task = asyncio.create_task(self._tell(node, after_seconds), name=f"zone of {node}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, node: str, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        session = self._waiting.get(node)
        if session is None or self._zones_of is None:
            return
        zones = await self._zones_of(node)
        if node not in zones or self._waiting.get(node) is not session:
            return
        del self._waiting[node]
        try:
            async for _ in session.request(ZONES, encode_zones(zones)):
                pass
        except RequestFailed as error:
            # An older agent does not know the verb, or it went: the next Welcome tells it.
            _log.info("ingest.zone_not_told", agent=session.agent, error=str(error)[:256])
