"""
How long each stream could not be watched: the sum of its gaps, the open ones up to now. Pure.

Closed gaps are counted in the journal, so that the sum goes on after a restart.
"""

from collections.abc import Iterable, Mapping

import msgspec

from aggregator.census.families import BLIND
from aggregator.records import CounterKey
from kubescribe.wire.records import Gap
from kubescribe.wire.times import NANOSECONDS, from_rfc3339

MAX_STREAMS = 2000


class _Told(msgspec.Struct, gc=False):
    """The parts of a gap's JSON that count here."""

    id: str
    stream: str
    start: str = msgspec.field(name="from")
    outcome: str = "open"


_TOLD = msgspec.json.Decoder(_Told)


class Blindness:
    """Seconds by stream; they never fall, though an open gap may turn out to have ended before now."""

    def __init__(self, open_gaps: Iterable[Gap], counters: Mapping[CounterKey, int]) -> None:
        self._open: dict[str, tuple[str, int]] = {gap.id: (gap.stream, gap.start) for gap in open_gaps}
        self._closed: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self.count(counters)

    def count(self, counters: Mapping[CounterKey, int]) -> None:
        """Add the closed gaps that a transaction counted; call it after `take`, or a scrape may see them twice."""
        for (family, labels), milliseconds in counters.items():
            if family == BLIND:
                stream = self._series(labels[0])
                self._closed[stream] = self._closed.get(stream, 0.0) + milliseconds / 1000

    def forget(self, stream: str) -> None:
        """Tell of a stream no more, but for a gap of it that is open."""
        self._closed.pop(stream, None)
        self._told.pop(stream, None)

    def take(self, json: bytes) -> None:
        """Take in a gap as it was published."""
        gap = _TOLD.decode(json)
        if gap.outcome == "open":
            self._open[gap.id] = (gap.stream, from_rfc3339(gap.start))
        else:
            self._open.pop(gap.id, None)

    def seconds(self, now: int) -> dict[str, float]:
        """Return the seconds of each stream that ever was blind."""
        total = dict(self._closed)
        for stream, start in dict(self._open).values():
            name = self._series(stream)
            total[name] = total.get(name, 0.0) + max(0, now - start) / NANOSECONDS
        for name, seconds in total.items():
            total[name] = self._told[name] = max(seconds, self._told.get(name, 0.0))
        return total

    def _series(self, stream: str) -> str:
        known = stream in self._told or stream in self._closed
        return stream if known or len(self._told) < MAX_STREAMS else "other"
