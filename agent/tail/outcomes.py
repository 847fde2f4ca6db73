"""What became of what was sent: places move on, room is made, and what was lost or refused is told as a Gap."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from agent.tail.counts import TailCounts
from agent.tail.looks import Reading
from agent.tail.losing import Lost
from agent.tail.missing import Folding
from agent.tail.paths import Instance
from agent.tail.tail import Flight, Tail
from kubescribe.loki.pushes import Outcome, Push
from kubescribe.wire.records import Gap

_LEAST_WEIGHT_BYTES = 16 * 1024
"""What is on its way takes memory beside its lines: a thousand pods that wrote one each are no 100 KB."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Refused:
    """Lines that Loki will never take, of one instance, for one reason, since they were told last."""

    start: int
    end: int
    count: int

    def lost(self, reason: str) -> Lost:
        """Return it as a loss."""
        return Lost(
            cause="logRefused",
            start=self.start,
            end=self.end,
            at=f"{reason}/{self.start}/{self.end}",
            count=self.count,
            detail=reason,
        )


class Outcomes:
    """The pushes of all tails on their way; `flying_bytes` are those of their entries, `landed_at` is on the clock."""

    def __init__(
        self, counts: TailCounts, report: Callable[[Sequence[Gap]], Awaitable[None]], *, monotonic: Callable[[], float]
    ) -> None:
        self._counts = counts
        self._report = report
        self._folding = Folding(monotonic=monotonic)
        self._monotonic = monotonic
        self._refused: dict[tuple[Instance, str], _Refused] = {}
        self._landed = asyncio.Event()
        self._under_way = 0
        self.flying_bytes = 0
        self.landed_at = monotonic()

    def begin(self, tail: Tail, reading: Reading, now: float) -> Flight:
        """Take a reading that is about to be sent."""
        weight = max(sum(len(push.entries) for push in reading.pushes), _LEAST_WEIGHT_BYTES if reading.pushes else 0)
        self.flying_bytes += weight
        return tail.begin(reading, weight, now)

    def watch(
        self, future: "asyncio.Future[Outcome]", tail: Tail, flight: Flight, push: Push, changed: Callable[[], None]
    ) -> None:
        """Wait for the outcome of *push*, and call *changed* then."""
        self._under_way += 1

        def done(future: "asyncio.Future[Outcome]") -> None:
            self._under_way -= 1
            self._landed.set()
            if future.cancelled() or future.exception() is not None:
                # The sender stops: what it did not send is sent by the next life.
                return
            flight.pushes -= 1
            self.landed_at = self._monotonic()
            self._note_refused(tail.instance, push, future.result())
            self.land(tail)
            changed()

        future.add_done_callback(done)

    def land(self, tail: Tail) -> None:
        """Move *tail* on over whatever has arrived."""
        self.flying_bytes -= tail.land()

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is on its way, at most *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._landed.clear()
                    await self._landed.wait()
        except TimeoutError:
            _log.info("tail.stopped_with_lines_under_way", bytes=self.flying_bytes)

    async def tell_all(self, losses: Sequence[tuple[Instance, Lost]]) -> None:
        """Tell of what will not come; returns when it is kept."""
        if not losses:
            return
        for _, each in losses:
            self._counts.gaps[each.cause] += 1
            self._counts.gap_bytes[each.cause] += each.size or 0
        gaps = self._folding.gaps_of(losses)
        for gap in gaps:
            _log.warning("tail.lines_lost", stream=gap.stream, cause=gap.cause, bytes=gap.bytes, detail=gap.detail)
        await self._report(gaps)

    async def tell_refused(self) -> None:
        """Tell of what Loki refused since the last call."""
        refused, self._refused = self._refused, {}
        await self.tell_all([(instance, each.lost(reason)) for (instance, reason), each in refused.items()])

    def _note_refused(self, instance: Instance, push: Push, outcome: Outcome) -> None:
        for reason, count in outcome.rejected.items():
            self._counts.rejected_lines[reason] += count
            known = self._refused.get((instance, reason))
            self._refused[instance, reason] = _Refused(
                start=min(push.first_at, known.start) if known else push.first_at,
                end=max(push.last_at, known.end) if known else push.last_at,
                count=count + (known.count if known else 0),
            )
