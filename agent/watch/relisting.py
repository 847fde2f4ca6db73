"""
One relist, by WatchList where the server takes it, else by list; out comes a Snapshot, of Events around no uids.

WatchList's events wait in a temporary store until its bookmark, which alone tells the version that they are of; a
stream that dies before it, or holds more than may wait there, is thrown away. Its connection is not watched on: a watch
from that version is one request more, and leaves one way through which watches run.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from agent.errors import NoAnswer, RequestFailed, ServerSaid, Undecodable
from agent.kube.session import ApiSession
from agent.watch import blindness
from agent.watch.counters import WatchCounters
from agent.watch.kinds import WatchedKind
from agent.watch.known import KnownObjects
from agent.watch.listing import list_pages
from agent.watch.outflow import Outflow
from agent.watch.position import Position
from agent.watch.requests import ServerTraits, watch_list_params
from agent.watch.settings import WatchSettings
from agent.watch.snapshots import SnapshotWriter
from agent.watch.streaming import open_watch
from agent.watch.taking import Taken, Taker, versions_of
from kubescribe.runtime.clock import Clock
from kubescribe.wire.records import AnyRecord, Change

_LOG = structlog.get_logger()

_ATTEMPTS = 3
"""Lists begun anew because their continue token expired: a list that outlives etcd's compaction (5 min) again and again
needs the backoff between."""


_RECORD_BYTES = 700
"""What a record takes in memory beside its body: some 20 fields, names and an actor."""


class _TooLarge(Exception):
    """A WatchList holds more than may wait for its bookmark."""


@dataclass(slots=True)
class Relisting:
    """
    Lists one stream, once for each `run`.

    `known` is the memory of the stream's objects, None for Events: their Snapshot only frames the list, nobody is
    missed in it (an Event that is gone has expired).
    """

    kind: WatchedKind
    node: str | None
    taker: Taker
    known: KnownObjects | None
    session: ApiSession
    outflow: Outflow
    traits: ServerTraits
    settings: WatchSettings
    counters: WatchCounters
    clock: Clock
    _epoch: int = field(default=0, init=False)
    _before: Position = field(default_factory=Position, init=False)

    async def run(self, cause: str | None, found_at: int = 0) -> int:
        """
        List, hand everything over, and return the list's version. Raises RequestFailed, Undecodable.

        *found_at* is the version below the resume point at which a restored store was found. It goes ahead as the begin
        of a Snapshot that is broken off: it proves the restore to the journal, also when the store has passed the
        resume point again before the list is made.

        After an expiry the list may be of any state that is not older than the resume point, which is cheaper for the
        server; for everything else, and when that is refused, it is consistent (watching rule 14).
        """
        self.outflow.begin_list()
        before = self._before = self.outflow.position
        self._epoch = self.outflow.epoch
        if found_at:
            await self.outflow.take_listed([self._writer(found_at, is_consistent=True).begin()])
        least = before.version if cause == blindness.EXPIRED and before.version and not self.kind.is_events else None
        if self.kind.stream_resource in self.traits.large_resources:
            least = None  # a list that is not consistent comes whole, and would not fit either
        if least is None and self.node is not None and not await self._lists_from_cache():
            # Before 1.31 a consistent list of one node's pods reads every pod of the cluster from etcd (rule 3).
            least = before.version
        if least is not None:
            try:
                return await self._list(cause, least)
            except (RequestFailed, Undecodable) as error:
                if isinstance(error, ServerSaid) and error.code in {401, 403, 429}:
                    raise
                _LOG.info("watch.relist_widened", stream=self.outflow.stream, detail=str(error)[:256])
        return await self._list(cause, None)

    async def _lists_from_cache(self) -> bool:
        # A node's agent discovers no kinds, so that nobody else has asked for the version.
        self.traits.minor = self.traits.minor or await self.session.server_minor()
        return self.traits.lists_from_cache

    async def _list(self, cause: str | None, least: int | None) -> int:
        if self.traits.takes_watch_list(self.kind):
            try:
                return await self._by_watch_list(cause, least)
            except _TooLarge:
                self.traits.large_resources.add(self.kind.stream_resource)
                _LOG.info("watch.watch_list_too_large", stream=self.outflow.stream, bytes=self.settings.initial_bytes)
                least = None if self.node is None else least
            except (RequestFailed, Undecodable, TimeoutError) as error:
                if not self._learn(error):
                    raise
                _LOG.info("watch.watch_list_refused", stream=self.outflow.stream, detail=str(error)[:256])
        for attempt in range(_ATTEMPTS):
            try:
                return await self._by_pages(cause, least)
            except ServerSaid as error:
                if not error.is_expired or least is not None or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _learn(self, error: Exception) -> bool:
        """Tell whether *error* is about WatchList, so that a list may do better, and remember what it teaches."""
        if isinstance(error, TimeoutError | NoAnswer):
            # Endless: an aggregated API that never sends the bookmark (kcp#3871). A cut connection teaches nothing.
            is_endless = isinstance(error, TimeoutError) or error.is_silence
            if is_endless:
                self.traits.endless_resources.add(self.kind.stream_resource)
            return is_endless
        if not isinstance(error, ServerSaid):
            return True
        is_about = "sendInitialEvents" in error.message or "RequestWatchProgress" in error.message
        if error.is_expired or error.is_too_large or (error.code in {401, 403, 429} and not is_about):
            return False
        if is_about or error.code in {400, 422}:
            self.traits.refuses_watch_list = True
        return True

    async def _by_watch_list(self, cause: str | None, least: int | None) -> int:
        store: list[AnyRecord] = []
        stored_bytes = 0
        damage = Taken()
        version = 0
        patience = self.settings.initial_silence_seconds
        async with open_watch(
            self.session,
            self.kind,
            # The server's end must come after ours, or a large state would be cut in the middle.
            watch_list_params(self.node, least, self.settings.timeout_seconds[1]),
            silence_seconds=patience,
            max_line_bytes=self.settings.max_line_bytes,
            counters=self.counters,
        ) as stream:
            batches = stream.batches()
            deadline = self.clock.monotonic() + patience
            while not version:
                async with asyncio.timeout(deadline - self.clock.monotonic()):
                    batch = await anext(batches, None)
                if batch is None:
                    raise NoAnswer("watch: the stream ended before its initial events did")
                taken = self.taker.take_initial(batch.lines, batch.oversized, self.clock.now_ns())
                if taken.error is not None:
                    raise taken.error
                if taken.events:
                    deadline = self.clock.monotonic() + patience
                store.extend(taken.records)
                stored_bytes += sum(map(_bytes_of, taken.records))
                if stored_bytes > self.settings.initial_bytes:
                    raise _TooLarge
                damage.add_damage(taken)
                version = taken.version if taken.has_ended_initial else 0
        if least is not None and version < least:
            raise Undecodable(f"watch: initial events at {version}, asked for at least {least}")
        writer = self._writer(version, is_consistent=least is None)
        await self.outflow.take_listed([writer.begin()])
        await self._hand_over(writer, store)
        return await self._finish(writer, version, cause, damage)

    async def _by_pages(self, cause: str | None, least: int | None) -> int:
        writer: SnapshotWriter | None = None
        damage = Taken()
        version = 0
        async for page in list_pages(
            self.session,
            self.kind,
            self.node,
            self.counters,
            not_older_than=least,
            page_items=self.settings.page_items,
        ):
            if not version:
                version = page.resource_version
                if least is not None and version < least:
                    raise Undecodable(f"list: resourceVersion {version}, asked for at least {least}")
                writer = self._writer(version, is_consistent=least is None)
                await self.outflow.take_listed([writer.begin()])
            for start in range(0, len(page.items), self.settings.put_records):
                items = page.items[start : start + self.settings.put_records]
                taken = self.taker.take_items(items, self.clock.now_ns())
                damage.add_damage(taken)
                await self._hand_over(writer, taken.records)
                # A list is decoded in slices: other streams of the process wait no longer than one.
                await asyncio.sleep(0)
        return await self._finish(writer, version, cause, damage)

    def _writer(self, version: int, *, is_consistent: bool) -> SnapshotWriter:
        return SnapshotWriter(
            stream=self.outflow.stream,
            term=self.outflow.term,
            kind=self.kind.name,
            version=version,
            observed_at=self.clock.now_ns(),
            is_consistent=is_consistent,
            epoch=self._epoch,
        )

    async def _hand_over(self, writer: SnapshotWriter | None, records: Sequence[AnyRecord]) -> None:
        if writer is not None:
            writer.add(*versions_of(records))
        for start in range(0, len(records), self.settings.put_records):
            await self.outflow.take_listed(records[start : start + self.settings.put_records])

    async def _finish(self, writer: SnapshotWriter | None, version: int, cause: str | None, damage: Taken) -> int:
        if damage.undecodable or damage.oversized:
            await self.outflow.take_listed([], damage)
        closing: list[AnyRecord] = []
        if writer is not None:
            if self.known is not None:
                if damage.unidentified:
                    # Something was there that did not say who it is: nobody known may be taken for gone.
                    known = list(self.known.items())
                    writer.keep([uid for uid, _ in known], [item.resource_version for _, item in known])
                self.known.keep_only(writer.uids)
            closing.extend(writer.finish())
        self.counters.lists[self.outflow.stream] += 1
        await self.outflow.end_list(closing, self._before, version, cause)
        return version


def _bytes_of(record: AnyRecord) -> int:
    return _RECORD_BYTES + (len(record.body) if isinstance(record, Change) and record.body else 0)
