"""
Asks etcd what the watch cannot be trusted with: objects that have been quiet for long.

A watch cache can lose a delete (kubernetes#123072, on at least six EKS clusters), and since 1.31 lists come from the
cache too; a GET without a version reads etcd. Not for what was missed while disconnected: that is the relist's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from agent.errors import RequestFailed, Undecodable
from agent.kube.session import ApiSession
from agent.watch.changes import ChangeRecorder
from agent.watch.counters import WatchCounters
from agent.watch.decoding import decode_object, version_of
from agent.watch.kinds import WatchedKind
from agent.watch.known import Known
from agent.watch.listing import get_uid, list_pages
from agent.watch.settings import WatchSettings
from kubescribe.runtime.clock import Clock
from kubescribe.wire.records import AnyRecord

_LOG = structlog.get_logger()

_SLOTS = 60
"""The period is cut into so many slots; each asks for its share, so that an hour's questions are spread."""


@dataclass(slots=True)
class Verifier:
    """Verifies the objects of one stream; `put` takes the deletes that it finds."""

    kind: WatchedKind
    node: str | None
    recorder: ChangeRecorder
    session: ApiSession
    put: Callable[[Sequence[AnyRecord]], Awaitable[None]]
    settings: WatchSettings
    counters: WatchCounters
    clock: Clock

    async def run(self) -> NoReturn:
        """Verify until cancelled; a failed request is tried again in the next slot."""
        while True:
            await asyncio.sleep(self.settings.verify_seconds / _SLOTS)
            try:
                await self._verify_share()
            except (RequestFailed, Undecodable) as error:
                _LOG.info("watch.verification_failed", stream=self.recorder.stream, detail=str(error)[:256])

    async def _verify_share(self) -> None:
        known = self.recorder.known
        period = int(self.settings.verify_seconds * 10**9)
        if not known.is_complete:
            await self._learn_objects()
        quiet = known.quiet_since(self.clock.now_ns() - period)
        for uid, item in quiet[: len(known) // _SLOTS + 1]:
            await self._verify(uid, item)

    async def _verify(self, uid: str, item: Known) -> None:
        self.counters.verified_objects += 1
        found = await get_uid(self.session, self.kind, item.namespace, item.name)
        now = self.clock.now_ns()
        if found == uid:
            item.seen_at = max(item.seen_at, now)
            return
        # It may be gone this very moment, and its DELETED on the way.
        await asyncio.sleep(self.settings.confirm_seconds)
        if self.recorder.known.get(uid) is not item or item.seen_at > now:
            return
        change = self.recorder.inferred_delete(uid, item, self.clock.now_ns())
        self.counters.inferred_deletes += 1
        _LOG.warning("watch.delete_inferred", stream=self.recorder.stream, name=item.name, namespace=item.namespace)
        await self.put([change])

    async def _learn_objects(self) -> None:
        """
        After a resume only what changed since is known: list the rest, from the cache, names and versions only.

        From the cache is what is wanted: an object that only the cache still has is the one to find.
        """
        known = self.recorder.known
        learned_at = self.clock.now_ns() - int(self.settings.verify_seconds * 10**9) - 1
        async for page in list_pages(
            self.session, self.kind, self.node, self.counters, not_older_than=0, metadata_only=True
        ):
            for data in page.items:
                meta = decode_object(data).metadata
                if known.get(meta.uid) is None:
                    known.put(meta.uid, Known(meta.name, meta.namespace, version_of(meta), learned_at))
        known.is_complete = True
