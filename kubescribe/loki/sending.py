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
from functools import partial

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
"""Of which lanes that have nothing to send go on; whoever pushes may name a new tenant each time."""


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
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._open: dict[asyncio.Future[Outcome], Ticket] = {}
        self._lane_tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def submit(self, push: Push) -> "asyncio.Future[Outcome]":
        """
        Queue *push* as soon as there is room; the future is done when its fate is final.

        Raises SenderStopped once the sender was stopped; the future then carries it too. ValueError for a push without
        entries, or a tenant that no header can carry.
        """
        if push.count < 1 or not push.entries:
            raise ValueError("a push without an entry")
        if not push.tenant.isprintable():
            raise ValueError(f"a tenant that no header carries: {push.tenant[:64]!r}")
        size = len(push.entries) + len(push.labels) + _PUSH_BYTES
        if self._is_stopping or not await self._room.enter(push.tenant, push.labels, size):
            raise SenderStopped("the way to Loki was stopped")
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        ticket = Ticket(push, outcome, push.count)
        outcome.add_done_callback(lambda _: self._closed(ticket, size))
        self._open[outcome] = ticket
        self._idle.clear()
        self._queue(whole(ticket))
        self.numbers.waiting_bytes = self._room.used_bytes
        return outcome

    def withdraw(self, outcome: "asyncio.Future[Outcome]") -> bool:
        """Take back a push that waits, as the Protocol has it."""
        ticket = self._open.get(outcome)
        if ticket is None:
            return False
        lane = self._lanes.get((ticket.push.tenant, self._lane_of(ticket.push.labels)))
        if lane is None or not lane.withdraw(ticket):
            return False
        outcome.cancel()
        return True

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
        for lane in self._lanes.values():
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
        key = (name, self._lane_of(parcel.labels))
        lane = self._lanes.get(key)
        if lane is None or lane.is_over:
            lane = self._lanes[key] = Lane(self._tenant(name), self._around)
            task = asyncio.create_task(lane.run(), name=f"loki lane {name}/{key[1]}")
            # `run` cancels and awaits them; one that fails ends the sender.
            self._tasks.add(task)
            self._lane_tasks[key] = task
            task.add_done_callback(partial(self._lane_ended, key, lane))
        lane.add(parcel)

    def _lane_of(self, labels: str) -> int:
        return zlib.crc32(labels.encode()) % self.limits.lanes

    def _tenant(self, name: str) -> Tenant:
        if name not in self._tenants:
            self._end_idle_tenants()
            self._tenants[name] = Tenant(
                name=name,
                gate=self._gate(self.limits.max_setting_seconds, patience=1),
                pacer=Pacer(self.limits.request_bytes),
                known=Known(self.limits.known_streams),
            )
        return self._tenants[name]

    def _end_idle_tenants(self) -> None:
        """End the lanes of tenants of whom nothing waits, the eldest first, down to as many as may be remembered."""
        for name in list(self._tenants):
            if len(self._tenants) < MAX_TENANTS:
                return
            if not self._room.holds(name):
                del self._tenants[name]
                for key in [key for key in self._lanes if key[0] == name]:
                    del self._lanes[key]
                    self._lane_tasks.pop(key).cancel()

    def _wake(self) -> None:
        for lane in self._lanes.values():
            lane.wake()

    def _lane_ended(self, key: tuple[str, int], lane: Lane, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if self._lanes.get(key) is lane:
            del self._lanes[key]
            del self._lane_tasks[key]
        if not any(name == key[0] for name, _ in self._lanes):
            self._tenants.pop(key[0], None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
            self._stopped.set()

    async def _send(self, parcels: Sequence[Parcel], tenant: str) -> Answer:
        streams: dict[str, list[bytes]] = {}
        for parcel in parcels:
            streams.setdefault(parcel.labels, []).append(parcel.entries)
        body = b"".join(encode_stream(labels, b"".join(entries)) for labels, entries in streams.items())
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
        self._open.pop(ticket.outcome, None)
        self._room.leave(ticket.push.tenant, ticket.push.labels, size)
        self.numbers.waiting_bytes = self._room.used_bytes
        if not self._open:
            self._idle.set()

    def _abandon(self) -> None:
        for ticket in list(self._open.values()):
            if not ticket.outcome.done():
                ticket.outcome.set_exception(SenderStopped("the way to Loki was stopped before Loki answered"))
                # Whoever asks is told; that nobody asks is no mistake.
                ticket.outcome.exception()
