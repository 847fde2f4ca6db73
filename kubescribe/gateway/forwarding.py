"""
From the spool to Loki: frames in order, their pushes to the sender, the cursor behind what is final.

A stream or tenant that Loki holds up waits by itself: its frames are passed over, noted by number, and read again from
the disk when there is room for them, in order. What was submitted and has no outcome yet is sent again after a crash,
as the same bytes. What Loki refuses for good is final as well: it is counted, and the cursor moves on.
"""

import asyncio
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial

import structlog

from kubescribe.gateway.errors import GatewayError
from kubescribe.gateway.finals import Finals
from kubescribe.gateway.frames import MAX_PUSH_BYTES, Frame, pushes_of
from kubescribe.gateway.numbers import GatewayNumbers
from kubescribe.gateway.spool import Spool
from kubescribe.gateway.waiting import PORTION_STREAMS, Flight, Tenant, Way, portions_of
from kubescribe.gateway.ways import Ways
from kubescribe.loki.pushes import Outcome, Push, Sender

SETTLE_SECONDS = 0.25
"""Between two moves of the cursor: each costs a sync, and what lies between is at worst sent twice, byte for byte."""

RELEASE_SECONDS = 5.0
"""Between two looks for segments behind the oldest open frame of which nothing is open."""

LOOK_SECONDS = 1.0
"""Between two looks for tenants that are held up while others wait."""

RETRY_SECONDS = 1.0
_DRAIN_SECONDS = 3.0
_AT_ONCE = 100
"""Pushes that are handed to the sender before others have their turn: two or three milliseconds."""

_log = structlog.get_logger()

_Take = Callable[[Tenant, int, Iterable[Push], float], list[Way]]


class Forwarder:
    """Sends what the spool holds. `run` until `stop`."""

    def __init__(self, spool: Spool, sender: Sender, numbers: GatewayNumbers, *, ways: Ways | None = None) -> None:
        self._spool = spool
        self._sender = sender
        self.numbers = numbers
        self._ways = ways or Ways()
        self._routed = spool.store.cursor.n
        self._released_at = time.monotonic()
        self._submitting: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._is_draining = False
        self._moved = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()

    def waits(self, tenant: str, streams: Collection[str]) -> bool:
        """Tell, in any thread, whether a frame with *streams* of *tenant* would be passed over, for now."""
        return self._ways.waits(tenant, streams)

    async def run(self) -> None:
        """Send until `stop`."""
        tasks = (
            asyncio.create_task(self._read(), name="gateway reading"),
            asyncio.create_task(self._read_again(), name="gateway reading again"),
            asyncio.create_task(self._settle(), name="gateway settling"),
            asyncio.create_task(self._take_back(), name="gateway taking back"),
            asyncio.create_task(self._stopping.wait(), name="gateway stopping"),
        )
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending = {*tasks, *self._submitting}
            for task in ending:
                task.cancel()
            await asyncio.wait(ending)
            with suppress(OSError):
                await self._acknowledge()
                if self._ways.oldest() is not None:
                    await self._spool.keep_finals(self._finals())
        if self._error is not None:
            raise self._error
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Submit nothing more, wait a little for what is under way, and end; the rest is sent after the next start."""
        self._is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._ways.flying:
                    self._moved.clear()
                    await self._moved.wait()
        self._stopping.set()

    def cut_off(self) -> None:
        """End without waiting for what is under way, as a crash would."""
        self._stopping.set()

    async def _read(self) -> None:
        """Read each frame once, in order; pass over those whose tenant has no room."""
        while True:
            try:
                frame = await self._spool.next(self._routed)
            except OSError as error:
                await self._unreadable(error)
                continue
            await self._may_submit()
            if self._spool.store.finals.has(frame.n):
                self._routed = frame.n
                continue
            tenant = self._ways.tenant(frame.head.tenant)
            if tenant.notes or not self._ways.takes(tenant):
                tenant.notes.add(frame.n)
            elif not self._ways.pass_over(tenant, frame.n, [it.labels for it in frame.head.streams]):
                await self._give_on(frame, await self._made(frame), self._ways.route)
            self._routed = frame.n
            self._step()

    async def _read_again(self) -> None:
        """Read what was passed over, as soon as there is room for it."""
        while True:
            await self._may_submit()
            self._moved.clear()
            waiting = self._ways.next_waiting()
            if waiting is None:
                await self._moved.wait()
                continue
            n = waiting.notes.first
            try:
                frame = await self._spool.read(n)
            except OSError as error:
                await self._unreadable(error)
                continue
            portions = await self._made(frame) if frame is not None else []
            if frame is None or not portions:
                # Damaged since it was written, which the store counts.
                self._ways.skip(waiting)
            elif isinstance(waiting, Tenant):
                await self._give_on(frame, portions, self._ways.route)
                # Only now: as long as its streams are not all on their ways, they are nowhere else.
                self._ways.skip(waiting)
            else:
                await self._give_on(frame, portions, self._ways.resume)
            self._step()

    async def _give_on(self, frame: Frame, portions: Iterable[Sequence[Push]], take: _Take) -> None:
        """Let *take* have what *frame* says, not so much at once that the loop has to wait."""
        for number, pushes in enumerate(portions):
            if number:
                await asyncio.sleep(0)
            # Asked for each time: it may have been forgotten meanwhile.
            tenant = self._ways.tenant(frame.head.tenant)
            self._submit_all(take(tenant, frame.n, pushes, time.monotonic()))
            self._ways.forget(tenant)

    async def _may_submit(self) -> None:
        while self._is_draining:
            self._moved.clear()
            await self._moved.wait()

    async def _unreadable(self, error: OSError) -> None:
        _log.warning("gateway.spool_unreadable", error=str(error))
        await asyncio.sleep(RETRY_SECONDS)

    async def _made(self, frame: Frame) -> list[Sequence[Push]]:
        if frame.made and len(frame.made) <= PORTION_STREAMS and max(map(len, frame.made)) <= MAX_PUSH_BYTES:
            # Nothing is left to be done but to wrap it up.
            return self._pushes(frame)
        return await asyncio.to_thread(self._pushes, frame)

    def _pushes(self, frame: Frame) -> list[Sequence[Push]]:
        try:
            return portions_of(list(pushes_of(frame)))
        except (GatewayError, ValueError) as error:
            # The checksum agreed, so it was written like this: an error of ours, which must not stop the rest.
            _log.error("gateway.frame_unsendable", frame=frame.n, lines=frame.head.lines, error=str(error)[:200])
            self.numbers.unsendable_lines += frame.head.lines
            return []

    def _submit_all(self, ways: Iterable[Way]) -> None:
        """Hand over what is in the outboxes of *ways*, which are one tenant's, when the sender has room for it."""
        idle = [way for way in ways if not way.is_submitting]
        for way in idle:
            way.is_submitting = True
        if idle:
            task = asyncio.create_task(self._submit(idle))
            self._submitting.add(task)
            task.add_done_callback(self._submitted)

    async def _submit(self, ways: Sequence[Way]) -> None:
        submitted = 0
        for way in ways:
            while way.outbox:
                push, flight = way.outbox.popleft()
                outcome = flight.outcome = await self._sender.submit(push)
                outcome.add_done_callback(partial(self._done, way, flight))
                submitted += 1
                if submitted % _AT_ONCE == 0:
                    # Where there is room nothing else waits.
                    await asyncio.sleep(0)
            way.is_submitting = False
            self._ways.forget_way(way)

    def _submitted(self, task: "asyncio.Task[None]") -> None:
        self._submitting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._stopping.set()

    def _done(self, way: Way, flight: Flight, outcome: "asyncio.Future[Outcome]") -> None:
        if outcome.cancelled() or outcome.exception() is not None:
            return  # the sender was stopped: nothing is known, and after the next start it is sent again
        result = outcome.result()
        self.numbers.accepted += result.accepted
        if result.rejected:
            for reason, count in result.rejected.items():
                self.numbers.reject(reason, count)
        self._ways.land(way, flight, time.monotonic())
        self._step()

    def _step(self) -> None:
        # Of the many outcomes of a request the first one tells it all.
        if not self._moved.is_set():
            self._moved.set()
        if not self._settled.is_set():
            self._settled.set()

    async def _take_back(self) -> None:
        """Make room, for those who wait, of what tenants have that Loki holds up."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for tenant in self._ways.held_up(now):
                # Thousands of pushes of each of many tenants: others have their turn, and it may get on meanwhile.
                await asyncio.sleep(0)
                if tenant.moved_at > now:
                    continue
                self._ways.hold(tenant)
                count = 0
                for way in list(tenant.ways.values()):
                    if taken := self._taken_back(way):
                        self._ways.put_back(way, taken)
                        count += len(taken)
                    if count >= _AT_ONCE:
                        await asyncio.sleep(0)
                        count = 0
                self._moved.set()

    def _taken_back(self, way: Way) -> list[Flight]:
        """Return the last flights of *way* that the sender gives back, or was never given."""
        taken = [flight for _, flight in way.outbox]
        way.outbox.clear()
        for flight in list(reversed(way.flights))[len(taken) :]:
            if flight.is_final:
                continue
            # One that is about to be given to the sender has to go, and what is before it.
            if flight.outcome is None or not self._sender.withdraw(flight.outcome):
                break
            taken.append(flight)
        return taken

    async def _settle(self) -> None:
        while True:
            with suppress(TimeoutError):
                # Also when nothing moves: what is refused for want of room moves nothing.
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._settled.wait()
            try:
                await self._acknowledge()
                await self._release()
            except OSError as error:
                _log.warning("gateway.cursor_not_written", error=str(error))
                self._settled.set()
            await asyncio.sleep(SETTLE_SECONDS)

    async def _acknowledge(self) -> None:
        self._settled.clear()
        oldest = self._ways.oldest()
        final = self._routed if oldest is None else oldest - 1
        if final > self._spool.store.cursor.n:
            await self._spool.acknowledge(final)

    async def _release(self) -> None:
        now = time.monotonic()
        if len(self._spool.store.segments) > 1 and now - self._released_at >= RELEASE_SECONDS:
            self._released_at = now
            if await self._spool.release(self._finals()):
                # A segment at a time: there may be another.
                self._released_at = now - RELEASE_SECONDS
                self._settled.set()

    def _finals(self) -> Finals:
        return Finals(self._routed, array("Q", self._ways.open()))
