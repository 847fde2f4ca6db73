"""
The way to Loki: pushes in, requests out, until Loki has each entry or refused it for good.

    submit ─▶ room ─▶ lane (tenant, hash of labels) ─▶ gate ─▶ pace ─▶ POST ─▶ settle ─▶ outcome
                        ▲                                                    │
                        └─────────────── what goes back ◀────────────────────┘

A lane has one request under way, so what is sent again is never overtaken by what is newer of its stream; within a lane
a stream that has to wait is passed over. Nothing of a push is forgotten before its outcome: stopped in the middle, the
sender leaves what is undecided to whoever keeps it.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Sequence

from kubescribe.loki.client import Answer, LokiClient
from kubescribe.loki.encoding import compress, encode_stream
from kubescribe.loki.errors import LokiUnreachable, SenderStopped
from kubescribe.loki.gates import Gate
from kubescribe.loki.lanes import Lane, Surroundings, Tenant
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.numbers import NO_ANSWER, LokiNumbers
from kubescribe.loki.pacing import Pacer
from kubescribe.loki.parcels import Parcel, Ticket, whole
from kubescribe.loki.pushes import Outcome, Push
from kubescribe.loki.queues import Known
from kubescribe.loki.room import Room
from kubescribe.runtime.clock import Clock, SystemClock

_PUSH_BYTES = 2048
"""What a push that waits takes in memory besides its bytes: a million of one letter each would be two gigabytes."""

MAX_TENANTS = 64
"""Of which something is remembered while nothing of theirs waits: whoever pushes may name a new one each time."""


class LokiSender:
    """Implements kubescribe.loki.pushes.Sender. `run` has to be running for anything to be sent."""

    def __init__(
        self,
        client: LokiClient,
        *,
        limits: SenderLimits | None = None,
        clock: Clock | None = None,
        numbers: LokiNumbers | None = None,
    ) -> None:
        self.limits = limits or SenderLimits()
        self.numbers = numbers or LokiNumbers()
        self._client = client
        self._clock = clock or SystemClock()
        self._room = Room(self.limits.waiting_bytes)
        self._around = Surroundings(
            limits=self.limits,
            weather=self._gate(self.limits.max_retry_seconds, patience=3),
            clock=self._clock,
            numbers=self.numbers,
            send=self._send,
            requeue=self._queue,
            weather_cleared=self._wake,
        )
        self._tenants: dict[str, Tenant] = {}
        self._lanes: dict[tuple[str, int], tuple[Lane, asyncio.Task[None]]] = {}
        self._open: set[Ticket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def submit(self, push: Push) -> "asyncio.Future[Outcome]":
        """
        Queue *push* as soon as there is room; the future is done when its fate is final.

        Raises SenderStopped once the sender was stopped; the future then carries it too. ValueError for no entries.
        """
        if push.count < 1 or not push.entries:
            raise ValueError("a push without an entry")
        size = len(push.entries) + len(push.labels) + _PUSH_BYTES
        if self._is_stopping or not await self._room.enter(push.tenant, push.labels, size):
            raise SenderStopped("the way to Loki was stopped")
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        ticket = Ticket(push, outcome, push.count)
        outcome.add_done_callback(lambda _: self._closed(ticket, size))
        self._open.add(ticket)
        self._idle.clear()
        self._queue(whole(ticket))
        self.numbers.waiting_bytes = self._room.used_bytes
        return outcome

    async def run(self) -> None:
        """Send until `stop`. Raises what a lane failed with, which is an error of ours."""
        try:
            await self._stopped.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._is_stopping = True
            self._room.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._abandon()

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Take nothing more, send what waits for at most *grace_seconds*, and end; the rest is not acknowledged."""
        self._is_stopping = True
        self._room.close()
        for lane, _ in self._lanes.values():
            lane.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        self._stopped.set()

    @property
    def is_stopping(self) -> bool:
        """Tell whether nothing more is taken."""
        return self._is_stopping

    def _gate(self, cap_seconds: float, patience: int) -> Gate:
        return Gate(
            first_seconds=self.limits.first_retry_seconds,
            cap_seconds=cap_seconds,
            patience=patience,
            clock=self._clock,
        )

    def _queue(self, parcel: Parcel) -> None:
        name = parcel.ticket.push.tenant
        key = (name, zlib.crc32(parcel.labels.encode()) % self.limits.lanes)
        known = self._lanes.get(key)
        if known is None:
            lane = Lane(self._tenant(name), self._around)
            task = asyncio.create_task(lane.run(), name=f"loki lane {name}/{key[1]}")
            # `run` cancels and awaits them; one that fails ends the sender.
            self._tasks.add(task)
            task.add_done_callback(self._lane_ended)
            known = self._lanes[key] = (lane, task)
        known[0].add(parcel)

    def _tenant(self, name: str) -> Tenant:
        if name not in self._tenants:
            self._forget_idle_tenants()
            self._tenants[name] = Tenant(
                name=name,
                gate=self._gate(self.limits.max_setting_seconds, patience=1),
                pacer=Pacer(self.limits.request_bytes),
                known=Known(self.limits.known_streams),
            )
        return self._tenants[name]

    def _forget_idle_tenants(self) -> None:
        """Let go of tenants of whom nothing waits, down to as many as may be remembered; the eldest first."""
        for name in list(self._tenants):
            if len(self._tenants) < MAX_TENANTS:
                return
            if not self._room.holds(name):
                del self._tenants[name]
                for key in [key for key in self._lanes if key[0] == name]:
                    self._lanes.pop(key)[1].cancel()

    def _wake(self) -> None:
        for lane, _ in self._lanes.values():
            lane.wake()

    def _lane_ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._stopped.set()

    async def _send(self, parcels: Sequence[Parcel], tenant: str) -> Answer:
        body = b"".join(
            encode_stream(labels, b"".join(parcel.entries for parcel in parcels if parcel.labels == labels))
            for labels in dict.fromkeys(parcel.labels for parcel in parcels)
        )
        is_large = len(body) >= self.limits.off_loop_bytes
        packed = await asyncio.to_thread(compress, body) if is_large else compress(body)
        try:
            answer = await self._client.push(packed, tenant=tenant)
        except LokiUnreachable:
            self.numbers.pushes[NO_ANSWER] += 1
            raise
        self.numbers.pushes[str(answer.status)] += 1
        self.numbers.sent_bytes += len(packed)
        return answer

    def _closed(self, ticket: Ticket, size: int) -> None:
        self._open.discard(ticket)
        self._room.leave(ticket.push.tenant, ticket.push.labels, size)
        self.numbers.waiting_bytes = self._room.used_bytes
        if not self._open:
            self._idle.set()

    def _abandon(self) -> None:
        for ticket in list(self._open):
            if not ticket.outcome.done():
                ticket.outcome.set_exception(SenderStopped("the way to Loki was stopped before Loki answered"))
                # Whoever asks is told; that nobody asks is no mistake.
                ticket.outcome.exception()
