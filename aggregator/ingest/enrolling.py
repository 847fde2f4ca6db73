"""
After the start: the roll of what lives is read from the journal, page by page, beside the work.

The journal keeps versions, not states, so each body is rebuilt once: ~0.1 ms an object in a reader's thread. Until that
is done /metrics does not tell how the cluster is; the counters it has from the first moment.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from aggregator.census.families import GAP_CAUSES
from aggregator.census.roll import KINDS, Named, State, state_of
from aggregator.errors import StoreUnavailable
from aggregator.ingest.ledger import Draft
from aggregator.ingest.pipeline import Pipeline
from aggregator.records import ObjectKey, ObjectQuery
from aggregator.store.base import Journal

PAGE = 200
"""Objects in one read: ~20 ms of a reader that people's questions also need."""

_log = structlog.get_logger(__name__)


class _Item(msgspec.Struct, gc=False, kw_only=True):
    kind: str
    uid: str
    name: str
    namespace: str | None = None
    node: str | None = None
    body: msgspec.Raw


_ITEM = msgspec.json.Decoder(_Item)


class Enrolling:
    """Runs once, and then waits to be cancelled."""

    def __init__(self, pipeline: Pipeline, journal: Journal, *, retry_seconds: float = 1.0) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._retry_seconds = retry_seconds

    async def run(self) -> None:
        """Enroll everything, as often as it takes: a full disk is waited out."""
        while True:
            try:
                await self.enroll()
                break
            except StoreUnavailable as error:
                _log.warning("roll.enrolling_failed", error=str(error))
                await asyncio.sleep(self._retry_seconds)
        await asyncio.Event().wait()

    async def enroll(self) -> None:
        """Enroll what lives. Raises StoreUnavailable; done again, it goes on from the beginning."""
        await self._pipeline.note(_begin_causes)
        for kind in sorted(KINDS):
            after: int | None = 0
            while after is not None:
                query = ObjectQuery(kind=kind, include_body=True, after=after, limit=PAGE)
                page = await self._journal.objects(query)
                after = page.last
                if states := await asyncio.to_thread(_states, page.items):
                    await self._pipeline.enroll(states)
        self._pipeline.ledger.roll.complete()
        _log.info("roll.complete", pods=len(self._pipeline.ledger.roll.pods()))


def _begin_causes(draft: Draft) -> None:
    for cause in GAP_CAUSES:
        draft.begin("gaps_total", cause)


def _states(items: Sequence[bytes]) -> list[tuple[ObjectKey, State]]:
    found: list[tuple[ObjectKey, State]] = []
    for json in items:
        try:
            item = _ITEM.decode(json)
            key = ObjectKey(item.kind, item.uid)
            state = state_of(key, bytes(item.body), Named(item.namespace or "", item.name, item.node or ""))
        except (ValueError, RecursionError):
            continue  # nonsense is on no roll
        if state is not None:
            found.append((key, state))
    return found
