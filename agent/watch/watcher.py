"""
One stream, for ever: list, watch, and after each end decide between watching on and listing again.

The rules are those of client-go's reflector, with what it cannot know: the resume point survives restarts, a restored
store is noticed, and every time in which versions may have been missed is a Gap. Not for what lines mean (`taking`),
how a list becomes records (`relisting`), nor what an end demands (`ending`).
"""

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import structlog

from agent.errors import NoAnswer, RequestFailed, Undecodable
from agent.spool.marks import StreamMark
from agent.watch import blindness
from agent.watch.changes import ChangeRecorder
from agent.watch.ending import End, end_of
from agent.watch.kinds import WatchedKind
from agent.watch.known import KnownObjects
from agent.watch.listing import current_version
from agent.watch.outflow import Outflow
from agent.watch.position import position_of, start_from
from agent.watch.relisting import Relisting
from agent.watch.requests import watch_params
from agent.watch.sharing import WatchTools
from agent.watch.streaming import WatchStream, open_watch
from agent.watch.taking import ChangeTaker, OccurrenceTaker, Taker
from agent.watch.verifying import Verifier
from kubescribe.kube.errors import AccessError
from kubescribe.runtime.backoff import Backoff
from kubescribe.wire.link import Grant
from kubescribe.wire.records import AnyRecord, StreamHealth
from kubescribe.wire.streams import stream_name

_LOG = structlog.get_logger()

_LASTING = {"forbidden": "forbidden", "not_served": "notServed"}
"""Ends that no hurry helps against, and the state that a stream is in then; somebody has to change something."""


class Watcher:
    """Keeps one stream and hands its records to the sink. `own` is the stream's mark from the spool at start."""

    def __init__(self, kind: WatchedKind, node: str | None, tools: WatchTools, own: StreamMark | None = None) -> None:
        self.kind = kind
        self.stream = stream_name(kind.stream_resource, node)
        self._node = node
        self._tools = tools
        self._settings = tools.settings
        self._clock = tools.clock
        self._own = own
        self._outflow = Outflow(self.stream, tools.sink, tools.settings, tools.counters, tools.clock)
        self._outflow.position = position_of(own)
        self._outflow.term = own.term if own else 0
        self._outflow.epoch = own.epoch if own else 0
        self._backoff = Backoff(
            first_seconds=tools.settings.backoff_first_seconds,
            cap_seconds=tools.settings.backoff_cap_seconds,
            clock=tools.clock,
            draw=tools.random.uniform,
        )
        self._taker: Taker | None = None
        self._active: WatchStream | None = None
        self._opened_at: float | None = None
        self._state, self._detail = "retrying", ""
        self._granted = asyncio.Event()
        self._poke = asyncio.Event()
        self._relist_cause: str | None = None
        self._is_started = False
        self._must_check_store = True
        self._has_bookmarks = not kind.is_events
        self._failing_since: float | None = None

    # What the link tells.

    def granted(self, grant: Grant, own: StreamMark | None = None) -> None:
        """
        Take the journal's answer to this stream's claim; *own* is the newest mark in the spool when it was asked.

        Before the start it decides where the stream begins. Later only the term changes, unless it orders a Snapshot.
        """
        self._outflow.term = grant.term
        self._outflow.epoch = grant.epoch
        if self._taker is not None:
            self._taker.term = grant.term
        if not self._is_started:
            self._own = own or self._own
            self._outflow.position = start_from(grant, self._own)
        if grant.snapshot:
            self._order(blindness.RELISTED)
        self._granted.set()

    def relist(self, epoch: int, reason: str) -> None:
        """List again and send a Snapshot with *epoch*, because the journal asks for it."""
        self._outflow.epoch = max(epoch, self._outflow.epoch)
        _LOG.info("watch.relist_ordered", stream=self.stream, reason=reason[:64], epoch=epoch)
        self._order(blindness.RELISTED)

    @property
    def term(self) -> int:
        """The term under which the stream is held, 0 for none."""
        return self._outflow.term

    async def record(self, records: Sequence[AnyRecord]) -> None:
        """Hand over *records* that did not come from the watch: in the stream's name, moving nothing."""
        await self._outflow.put(records)

    async def leave(self, detail: str) -> None:
        """Say by an open Gap that nobody watches the stream, after `run` has ended; who sees it next ends it."""
        # One that waits for its grant has not watched: until when the stream was seen is told by who did.
        if self._is_started and self._outflow.position.version:
            self._outflow.begin_blind(self._outflow.position.seen_at)
            await self._outflow.report_open(0.0, detail=detail)

    def health(self) -> StreamHealth:
        """Return how the stream does."""
        position = self._outflow.position
        return StreamHealth(
            name=self.stream,
            state=self._state,
            seen_at=position.seen_at,
            resource_version=position.version,
            detail=self._detail,
        )

    # The life of the stream.

    async def run(self) -> NoReturn:
        """Keep the stream until cancelled. Errors of the sink end it; nothing that the API server does can."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_gaps(), name=f"{self.stream} gaps")
            await self._wait_for_start()
            taker, known, verifier = self._equip()
            if verifier is not None:
                group.create_task(verifier.run(), name=f"{self.stream} verifying")
            relisting = Relisting(
                self.kind,
                self._node,
                taker,
                known,
                session=self._tools.session,
                outflow=self._outflow,
                traits=self._tools.traits,
                settings=self._settings,
                counters=self._tools.counters,
                clock=self._clock,
            )
            while True:
                await self._go_on(taker, relisting)

    async def _wait_for_start(self) -> None:
        keyring, settings = self._tools.keyring, self._settings
        if settings.start_jitter_seconds:
            await asyncio.sleep(self._tools.random.uniform(0.0, settings.start_jitter_seconds))
        started_at = self._clock.now_ns()
        self._detail = "waits for the aggregator"
        try:
            async with asyncio.timeout(settings.grace_seconds):
                await keyring.wait()
                await self._granted.wait()
        except TimeoutError:
            if self._own is None or not keyring.has_key:
                self._outflow.begin_blind(self._outflow.position.seen_at or started_at)
                await self._outflow.report_open(0.0, blindness.NOT_WELCOMED, self._detail)
                await keyring.wait()
            if self._own is None:
                await self._granted.wait()
        self._is_started = True
        if self._outflow.position.version:
            self._outflow.begin_blind(self._outflow.position.seen_at)

    def _equip(self) -> tuple[Taker, KnownObjects | None, Verifier | None]:
        tools, settings = self._tools, self._settings
        if self.kind.is_events:
            taker = OccurrenceTaker(self.stream, tools.counters, settings.event_ttl_seconds)
            taker.term = self._outflow.term
            self._taker = taker
            return taker, None, None
        recorder = ChangeRecorder(
            self.kind,
            self._node,
            tools.keyring.redactor,
            tools.counters,
            stencils=tools.stencils,
            max_body_bytes=settings.max_body_bytes,
        )
        recorder.term = self._outflow.term
        self._taker = ChangeTaker(recorder, self.kind, tools.counters)
        if not settings.verify_seconds:
            return self._taker, recorder.known, None
        verifier = Verifier(
            self.kind,
            self._node,
            recorder,
            tools.session,
            self._outflow.put,
            settings,
            tools.counters,
            self._clock,
        )
        return self._taker, recorder.known, verifier

    async def _go_on(self, taker: Taker, relisting: Relisting) -> None:
        """Do what is next, once: list, look for a restored store, watch; then wait as the end demands."""
        self._poke.clear()
        try:
            if self._needs_list():
                await self._list(relisting)
            if self._must_check_store:
                await self._check_store(relisting)
            end = await self._watch(taker)
        except (RequestFailed, Undecodable) as error:
            end = end_of(error)
        await self._conclude(end)

    def _needs_list(self) -> bool:
        position = self._outflow.position
        return self._relist_cause is not None or position.version == 0 or position.is_listing

    async def _list(self, relisting: Relisting, found_at: int = 0) -> None:
        cause = self._relist_cause or (blindness.INTERRUPTED if self._outflow.position.is_listing else None)
        self._relist_cause = None
        self._state, self._detail = "listing", cause or ""
        try:
            version = await relisting.run(cause, found_at)
        except (RequestFailed, Undecodable):
            # An order that came meanwhile goes first.
            self._order_kept(cause)
            raise
        self._must_check_store = False
        self._failing_since = None
        # A start, or an API server that restarts, has all of some forty streams listed at once. What an operator must
        # know is told by the Gaps, by watch.blind, and counted by cause.
        _LOG.debug("watch.listed", stream=self.stream, cause=cause or "start", version=version)

    async def _check_store(self, relisting: Relisting) -> None:
        """After an end that was not regular: a store that stands below the resume point was restored (rule 15)."""
        version = await current_version(self._tools.session, self.kind)
        resume_point = self._outflow.position.version
        if version < resume_point:
            _LOG.warning("watch.store_restored", stream=self.stream, version=version, resume_point=resume_point)
            self._relist_cause = blindness.RESTORED
            await self._list(relisting, found_at=version)
        self._must_check_store = False

    async def _watch(self, taker: Taker) -> End:
        """Watch once, from the position. Raises RequestFailed."""
        settings, outflow, draw = self._settings, self._outflow, self._tools.random.uniform
        timeout = draw(*(settings.timeout_seconds if self._has_bookmarks else settings.events_timeout_seconds))
        silence = draw(*settings.silence_seconds) if self._has_bookmarks else timeout + settings.slack_seconds
        opened_at = self._clock.monotonic()
        events = bookmarks = 0
        try:
            async with open_watch(
                self._tools.session,
                self.kind,
                watch_params(self.kind, self._node, outflow.position.version, timeout),
                silence_seconds=silence,
                max_line_bytes=settings.max_line_bytes,
                counters=self._tools.counters,
            ) as stream:
                opened_at = self._opened_at = self._clock.monotonic()
                self._active = stream
                self._state, self._detail = "live", ""
                async for batch in stream.batches():
                    taken = taker.take(batch.lines, batch.oversized, self._clock.now_ns())
                    events, bookmarks = events + taken.events, bookmarks + taken.bookmarks
                    if taken.events or taken.bookmarks:
                        self._failing_since = None
                    await outflow.take(taken)
                    if taken.error is not None:
                        raise taken.error
                    if self._poke.is_set():
                        return End("ordered")
        except NoAnswer as error:
            if self._poke.is_set():
                return End("ordered")
            if error.is_silence and self._has_bookmarks and not bookmarks:
                # Not one bookmark: here silence proves nothing. From now on as with Events, by short watches.
                self._has_bookmarks = False
            raise
        finally:
            self._active = self._opened_at = None
        if self._clock.monotonic() - opened_at < settings.short_seconds and not events and not bookmarks:
            # Of Events it is the third shape of 410; of others, a load balancer or a server that goes down.
            return End("short", relist=blindness.EXPIRED if self.kind.is_events else None, must_wait=True)
        if self._poke.is_set():
            return End("ordered")
        self._failing_since = None
        await outflow.end_regularly()
        return End("timeout")

    async def _conclude(self, end: End) -> None:
        """Note the end, and wait as it demands."""
        self._tools.counters.restarts[end.cause] += 1
        if end.is_regular:
            return
        _LOG.debug("watch.stream_ended", stream=self.stream, cause=end.cause, detail=end.detail)
        self._state = _LASTING.get(end.cause, "retrying")
        self._detail = end.detail or end.cause
        self._order_kept(end.relist)
        self._must_check_store = True
        position = self._outflow.position
        if position.version:
            self._outflow.begin_blind(position.seen_at)
        if end.cause == "unauthorized":
            await self._renew_credentials()
        if end.cause == "internal_error":
            self._lose_patience()
        if end.cause == "silent":
            # What is noticed by its silence has been blind for longer than the limit already.
            await self._outflow.report_open(0.0, detail=end.detail)
        least = self._settings.forbidden_seconds if end.cause in _LASTING else end.retry_after_seconds
        await self._pause(max(self._backoff.next_seconds(), least))

    def _lose_patience(self) -> None:
        """HTTP 500 is tried again for a minute, then the relist may help (rule 17)."""
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= self._settings.internal_error_seconds:
            self._order_kept(blindness.EXPIRED)

    async def _renew_credentials(self) -> None:
        try:
            await self._tools.session.access.credentials.renew()
        except AccessError as error:
            self._detail = str(error)[:256]

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the link orders something."""
        try:
            async with asyncio.timeout(seconds):
                await self._poke.wait()
        except TimeoutError:
            return

    def _order_kept(self, cause: str | None) -> None:
        self._relist_cause = self._relist_cause or cause

    def _order(self, cause: str) -> None:
        self._relist_cause = cause
        self._outflow.order_list()
        self._poke.set()
        if self._active is not None:
            self._active.close()

    async def _keep_gaps(self) -> NoReturn:
        """Say that the stream cannot see while the flow waits, and that it can when it is open and silent."""
        settings, outflow = self._settings, self._outflow
        while True:
            await asyncio.sleep(min(1.0, settings.blind_seconds / 4, settings.proof_seconds / 2))
            if not outflow.is_blind or not self._is_started:
                continue
            if self._opened_at is None:
                await outflow.report_open(settings.blind_seconds, detail=self._detail)
            elif self._clock.monotonic() - self._opened_at >= settings.proof_seconds:
                await outflow.report_seeing()
