"""
Asks the cluster agent what became of the objects in doubt (doubts.py). Nothing is decided here.

The agent asks the API server and puts what it finds into its spool, as it does with all it sees; that record settles
the doubt. A doubt that stays, because the API server did not answer, is asked about again later.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from aggregator.errors import RequestFailed
from aggregator.ingest.adopting import Adopting
from aggregator.ingest.pipeline import Pipeline
from aggregator.records import DoubtRow, ObjectKey
from kubescribe.wire.codec import encode_settle
from kubescribe.wire.link import MAX_DOUBTS, SETTLE, Doubt, Settle

_log = structlog.get_logger(__name__)

SECOND = 10**9

ANSWER_SECONDS = 60.0
"""What the questions of one request may take: an API server that is slow is not asked faster."""


class Settling:
    """
    Asks about each doubt that is older than *after_seconds*, and again after *again_seconds*.

    Five seconds, since a node's agent tells of a bound pod within a fraction of one; who is asked later is one that is
    away, or never was there.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        adopting: Adopting,
        *,
        now_ns: Callable[[], int],
        after_seconds: float = 5.0,
        again_seconds: float = 30.0,
        tick_seconds: float = 1.0,
    ) -> None:
        self._pipeline = pipeline
        self._adopting = adopting
        self._now_ns = now_ns
        self._after = int(after_seconds * SECOND)
        self._again = int(again_seconds * SECOND)
        self._tick_seconds = tick_seconds
        self._asked: dict[ObjectKey, int] = {}

    async def run(self) -> NoReturn:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self._tick_seconds)
            due = self._due()
            if due:
                await self._ask(due)

    def _due(self) -> list[DoubtRow]:
        doubts, now = self._pipeline.ledger.doubts, self._now_ns()
        self._asked = {key: at for key, at in self._asked.items() if key in doubts}
        due = [
            row
            for key, row in doubts.items()
            if now - row.since >= self._after and now - self._asked.get(key, 0) >= self._again
        ]
        return sorted(due, key=lambda row: row.since)[:MAX_DOUBTS]

    async def _ask(self, due: list[DoubtRow]) -> None:
        leader = self._adopting.leader
        if leader is None:
            return
        now = self._now_ns()
        self._asked.update((row.key, now) for row in due)
        arguments = encode_settle(Settle(doubts=tuple(_doubt(row) for row in due)))
        try:
            async for _ in leader.request(SETTLE, arguments, deadline_seconds=ANSWER_SECONDS):
                pass
        except RequestFailed as error:
            _log.warning("settling.failed", doubts=len(due), error=str(error)[:256])


def _doubt(row: DoubtRow) -> Doubt:
    return Doubt(
        kind=row.key.kind,
        name=row.name,
        namespace=row.namespace,
        uid=row.key.uid,
        resource_version=row.resource_version,
        after=row.after,
    )
