"""One lane: takes what may go from its queue, sends it, does what the answer says; one request at a time."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from kubescribe.loki.answers import UNKNOWN, Meaning, Verdict, read_answer
from kubescribe.loki.client import Answer
from kubescribe.loki.errors import CredentialsUnusable, LokiUnreachable
from kubescribe.loki.gates import Gate
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.numbers import LokiNumbers
from kubescribe.loki.pacing import Pacer
from kubescribe.loki.parcels import Parcel, Ticket
from kubescribe.loki.queues import HOT_BYTES, Caution, Known, LaneQueue, StreamQueue
from kubescribe.loki.settling import Settlement, settle
from kubescribe.runtime.clock import Clock

_log = structlog.get_logger()

_TELL_SECONDS = 60.0
"""Between two log lines of the same cause: a backlog that is too old is refused thousands of times."""

_TROUBLED = 2
"""Failures in a row, while others succeed, after which a stream travels alone."""


@dataclass(slots=True, kw_only=True)
class Tenant:
    """What the lanes of one tenant share."""

    name: str
    gate: Gate
    pacer: Pacer
    known: Known
    hot_bytes: int = HOT_BYTES
    """How much of one stream in a second may share requests; less when Loki's limit of a stream is known to be low."""
    is_proven: bool = False
    """Whether Loki ever took anything of it: then what it refuses is the content, not the address."""
    told: int = 0
    """The status that was told as a wrong setting, 0 when there is none."""
    told_at: dict[str, float] = field(default_factory=dict)
    """When which cause of a refusal was logged last."""


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What a lane needs of the sender: the way out, the weather, the clock."""

    limits: SenderLimits
    weather: Gate
    clock: Clock
    numbers: LokiNumbers
    send: Callable[[Sequence[Parcel], str], Awaitable[Answer]]
    requeue: Callable[[Parcel], None]
    weather_cleared: Callable[[], None]


class Lane:
    """The parcels of some streams of one tenant."""

    def __init__(self, tenant: Tenant, around: Surroundings) -> None:
        self._tenant = tenant
        self._around = around
        self._queue = LaneQueue()
        self._news = asyncio.Event()
        self._sent_at = 0.0
        self._paced: list[Parcel] = []
        self._unpaced = asyncio.Event()
        self._is_hurried = False
        self._new_bytes = 0
        self.is_over = False

    def add(self, parcel: Parcel) -> None:
        """Queue *parcel* behind those of its stream."""
        was_empty = not self._new_bytes
        self._new_bytes += parcel.size
        self._queue.add(parcel, self._around.clock.monotonic())
        is_risky = parcel.is_late or not self._tenant.known.has(parcel.labels)
        # Not each time: who adds a hundred in a row need not have the lane look at all of its streams as often.
        if was_empty or is_risky or self._new_bytes >= self._tenant.pacer.max_bytes:
            self._news.set()

    def hurry(self) -> None:
        """Wait for no more to come: the sender is being stopped."""
        self._is_hurried = True
        self._news.set()

    def wake(self) -> None:
        """Let streams try again that slept because Loki failed."""
        self._queue.wake_failed()
        self._news.set()

    def withdraw(self, ticket: Ticket) -> bool:
        """Forget all of *ticket*; False, and nothing, where some of it is not waiting here, or was decided."""
        paced = [parcel for parcel in self._paced if parcel.ticket is ticket]
        if self._queue.count_of(ticket) + sum(parcel.count for parcel in paced) != ticket.push.count:
            return False
        self._queue.drop(ticket)
        if paced:
            self._paced = [parcel for parcel in self._paced if parcel.ticket is not ticket]
            self._tenant.pacer.give_back(sum(parcel.content_bytes for parcel in paced))
            self._unpaced.set()
        return True

    @property
    def tenant(self) -> Tenant:
        """Whose lane it is."""
        return self._tenant

    async def run(self) -> None:
        """Send until there was nothing to send for a long time; then `is_over`, and nothing may be added any more."""
        while await self._due():
            async with self._tenant.gate.passage(), self._around.weather.passage():
                now = self._around.clock.monotonic()
                known = self._tenant.known
                wall_ns, most = self._around.clock.now_ns(), self._tenant.pacer.max_bytes
                parcels = self._queue.take(now, wall_ns, most, known, hot_bytes=self._tenant.hot_bytes)
                self._new_bytes = 0
                if parcels:
                    await self._carry(parcels)
            self._queue.forget_idle(self._around.clock.monotonic())

    async def _due(self) -> bool:
        """Wait until something may be sent and it is not worth waiting for more; False when nothing came for long."""
        limits, clock = self._around.limits, self._around.clock
        while True:
            self._news.clear()
            now = clock.monotonic()
            oldest = self._queue.oldest(now)
            if oldest is None:
                at = self._queue.wakes_at()
                if at is None and not await self._news_within(limits.idle_lane_seconds) and not self._queue:
                    self.is_over = True
                    return False
                if at is None:
                    continue
            elif self._is_hurried or self._is_full(now):
                return True
            else:
                at = min(
                    oldest + limits.linger_seconds,
                    max(oldest + limits.idle_linger_seconds, self._sent_at + limits.linger_seconds),
                )
                if at <= now:
                    return True
            await self._news_within(max(at - now, 0.001))

    def _is_full(self, now: float) -> bool:
        return self._queue.is_full(now, self._around.clock.now_ns(), self._tenant.pacer.max_bytes, self._tenant.known)

    async def _news_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self._news.is_set()

    async def _paced_out(self, parcels: list[Parcel]) -> list[Parcel]:
        """Wait as long as the tenant's pace says; return what is left of *parcels* then."""
        seconds = self._tenant.pacer.seconds(
            sum(parcel.content_bytes for parcel in parcels), self._around.clock.monotonic()
        )
        # Whoever asks whether Loki is back holds up all others that want to: it asks at once.
        if seconds <= 0 or self._around.weather.is_closed:
            return parcels
        self._paced = parcels
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._paced:
                    self._unpaced.clear()
                    await self._unpaced.wait()
        left, self._paced = self._paced, []
        return left

    async def _carry(self, parcels: list[Parcel]) -> None:
        clock = self._around.clock
        parcels = await self._paced_out(parcels)
        if not parcels:
            return
        try:
            answer = await self._around.send(parcels, self._tenant.name)
        except LokiUnreachable as error:
            self._failed(parcels, 0.0, str(error))
            return
        except CredentialsUnusable as error:
            self._misconfigured(parcels, 0, str(error))
            return
        finally:
            self._sent_at = clock.monotonic()
        self._take(answer, parcels)

    def _take(self, answer: Answer, parcels: list[Parcel]) -> None:
        meaning = read_answer(answer.status, answer.text)
        if meaning.verdict is Verdict.FAILED:
            self._failed(parcels, answer.retry_after_seconds, f"{answer.status} {answer.text[:256]}")
            return
        if self._around.weather.succeeded():
            _log.info("loki.came_back")
            self._around.numbers.is_away = False
            self._around.weather_cleared()
        if meaning.verdict is Verdict.MISCONFIGURED or self._is_no_loki(meaning, answer):
            self._misconfigured(parcels, answer.status, answer.text[:256])
            return
        if self._tenant.gate.succeeded():
            _log.info("loki.setting_healed", tenant=self._tenant.name)
        self._tenant.told = 0
        self._apply(meaning, answer, parcels)

    def _is_no_loki(self, meaning: Meaning, answer: Answer) -> bool:
        """
        Tell whether a refusal in words that are none of Loki's is more likely somebody else's than about the content.

        A proxy that expects TLS, or does not know the tenant, says 400 too; to drop all lines for it would be wrong.
        """
        is_unknown = meaning.verdict is Verdict.REFUSED and meaning.reason == UNKNOWN
        return is_unknown and (not self._tenant.is_proven or answer.text.startswith("<"))

    def _apply(self, meaning: Meaning, answer: Answer, parcels: list[Parcel]) -> None:
        now = self._around.clock.monotonic()
        pacer = self._tenant.pacer
        match meaning.verdict:
            case Verdict.STORED:
                pacer.passed()
            case Verdict.RATE_LIMITED:
                pacer.refused(meaning.limit_bytes, now, answer.retry_after_seconds)
            case Verdict.STREAM_RATE_LIMITED if meaning.limit_bytes:
                self._tenant.hot_bytes = min(HOT_BYTES, meaning.limit_bytes // 4)
            case Verdict.TOO_LARGE if sum(parcel.count for parcel in parcels) > 1:
                pacer.too_large(sum(parcel.size for parcel in parcels), now)
        self._settle(settle(meaning, parcels), meaning, answer, parcels)

    def _settle(self, settled: Settlement, meaning: Meaning, answer: Answer, parcels: list[Parcel]) -> None:
        now = self._around.clock.monotonic()
        numbers, known = self._around.numbers, self._tenant.known
        self._put_back(settled.back)
        for labels, caution in settled.cautions.items():
            self._queue.stream(labels).beware(caution, now)
        for labels in settled.asleep:
            if meaning.verdict is Verdict.STREAM_RATE_LIMITED:
                self._shrink(labels, parcels)
            self._sleep(labels, meaning.verdict, answer.retry_after_seconds)
        if meaning.verdict is Verdict.STORED:
            self._tenant.is_proven = True
            for labels in dict.fromkeys(parcel.labels for parcel in parcels):
                known.add(labels)
                self._queue.stream(labels).failures = 0
        for parcel, count, rejected in settled.done:
            numbers.rejected.update(rejected)
            if any(self._is_to_be_told(reason) for reason in rejected):
                _log.warning(
                    "loki.entries_rejected", labels=parcel.labels[:256], reasons=dict(rejected), said=answer.text[:256]
                )
            numbers.sent_entries += count - sum(rejected.values())
            parcel.ticket.decide(count, rejected)
        for parcel in settled.late:
            numbers.late += parcel.count
            self._around.requeue(parcel)

    def _put_back(self, parcels: Sequence[Parcel]) -> None:
        # As if they had waited long enough for others: what holds them up is told elsewhere.
        self._queue.put_back(parcels, self._around.clock.monotonic() - self._around.limits.linger_seconds)

    def _failed(self, parcels: list[Parcel], at_least: float, said: str) -> None:
        """Loki could not: the same again later. Is it the request rather than Loki, its streams are told apart."""
        around, now = self._around, self._around.clock.monotonic()
        self._put_back(parcels)
        if around.weather.failed(at_least):
            _log.warning("loki.went_away", said=said[:256])
            around.numbers.is_away = True
        if around.weather.is_closed:
            return
        for labels in dict.fromkeys(parcel.labels for parcel in parcels):
            queue = self._queue.stream(labels)
            self._pause(queue, at_least, around.limits.first_retry_seconds, around.limits.max_retry_seconds)
            if queue.failures >= _TROUBLED:
                queue.beware(Caution.ALONE, now)

    def _misconfigured(self, parcels: list[Parcel], status: int, said: str) -> None:
        self._put_back(parcels)
        self._tenant.gate.failed()
        limits = self._around.limits
        for labels in dict.fromkeys(parcel.labels for parcel in parcels):
            # Should it be this content that somebody on the way refuses, and no setting, others go first.
            self._pause(self._queue.stream(labels), 0.0, limits.first_retry_seconds, limits.max_setting_seconds)
        if self._tenant.told != (status or -1):
            self._tenant.told = status or -1
            _log.error("loki.setting_wrong", status=status, said=said, tenant=self._tenant.name, hint=_hint(status))

    def _shrink(self, labels: str, parcels: Sequence[Parcel]) -> None:
        queue = self._queue.stream(labels)
        if queue.failures >= _TROUBLED:
            queue.shrink(sum(parcel.size for parcel in parcels if parcel.labels == labels))

    def _sleep(self, labels: str, verdict: Verdict, at_least: float) -> None:
        """Let one stream wait; one that is new to Loki waits longer, until others have ended."""
        queue, limits = self._queue.stream(labels), self._around.limits
        if verdict is Verdict.STREAM_LIMITED:
            self._tenant.known.discard(labels)
            self._pause(queue, at_least, limits.first_quarantine_seconds, limits.max_quarantine_seconds)
        else:
            self._pause(queue, at_least, limits.first_retry_seconds, limits.max_retry_seconds)
        if self._is_to_be_told(verdict.name):
            _log.warning("loki.stream_waits", labels=labels[:256], cause=verdict.name.lower())

    def _is_to_be_told(self, what: str) -> bool:
        """Tell whether nothing was logged of *what* for this tenant lately; the counters tell of each time."""
        now = self._around.clock.monotonic()
        told = self._tenant.told_at.get(what)
        if told is not None and now - told < _TELL_SECONDS:
            return False
        self._tenant.told_at[what] = now
        return True

    def _pause(self, queue: StreamQueue, at_least: float, first: float, cap: float) -> None:
        ceiling = min(cap, first * 2 ** min(queue.failures, 16))
        queue.failures += 1
        queue.sleep(self._around.clock.monotonic() + max(at_least, random.uniform(ceiling / 4, ceiling)))


def _hint(status: int) -> str:
    if status in {401, 402, 403, 407}:
        return "check the tenant, the password or token file, and what they may write"
    if status == 0:
        return "check the password or token file"
    return "check the address: --loki is where Loki is, without /loki/api/v1"
