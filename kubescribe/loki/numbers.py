"""What the way to Loki counts, and the families that agent and aggregator export of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kubescribe.loki.answers import REASONS

NO_ANSWER = "none"
"""The code of a push that got no answer."""

USUAL_CODES = ("204", "400", "401", "429", "500", "503", NO_ANSWER)
"""Told as 0 before they come, or the first refusals would be in no rate; others are there once they came."""


@dataclass(slots=True, kw_only=True)
class LokiNumbers:
    """
    Plain numbers of one sender, read when Prometheus asks.

    `pushes` are by HTTP status; `rejected` entries by Loki's reason; `late` entries went into a stream of their own.
    """

    pushes: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    sent_entries: int = 0
    late: int = 0
    waiting_bytes: int = 0
    is_away: bool = False


class LokiCollector(Collector):
    """
    Turns the numbers of all senders of a process into families, added up: a family must be there once.

    Read from another thread; the numbers are counters that only their sender writes.
    """

    def __init__(self, *senders: LokiNumbers) -> None:
        self.senders = list(senders)

    def add(self, other: "LokiCollector") -> None:
        """Count the senders of *other*, too, which must not be registered beside this one."""
        self.senders += other.senders

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        numbers = _together(self.senders)
        pushes = CounterMetricFamily(
            "kubescribe_loki_push",
            "Pushes to Loki, by the status of the answer; none: there was none.",
            labels=("code",),
        )
        for code in sorted({*USUAL_CODES, *numbers.pushes}):
            pushes.add_metric((code,), numbers.pushes[code])
        yield pushes
        yield by_reason(
            "kubescribe_loki_rejected_entries", "Entries that Loki will never take, by its reason.", numbers.rejected
        )
        yield CounterMetricFamily(
            "kubescribe_loki_sent_bytes", "Bytes sent to Loki, compressed.", value=numbers.sent_bytes
        )
        yield CounterMetricFamily("kubescribe_loki_sent_entries", "Entries that Loki took.", value=numbers.sent_entries)
        yield CounterMetricFamily(
            "kubescribe_loki_late_entries", "Entries that went into a stream with late=1.", value=numbers.late
        )
        yield GaugeMetricFamily(
            "kubescribe_loki_waiting_bytes", "What waits for Loki in memory.", value=numbers.waiting_bytes
        )
        yield GaugeMetricFamily("kubescribe_loki_up", "1 while Loki answers.", value=int(not numbers.is_away))


def by_reason(name: str, text: str, rejected: Counter[str]) -> CounterMetricFamily:
    """Return what was refused for good, every reason from the start: an alert sees a series that is new only later."""
    family = CounterMetricFamily(name, text, labels=("reason",))
    counted = {**dict.fromkeys(REASONS, 0), **rejected}
    for reason, count in counted.items():
        family.add_metric((reason,), count)
    return family


def _together(senders: Sequence[LokiNumbers]) -> LokiNumbers:
    total = LokiNumbers()
    for numbers in senders:
        total.pushes.update(dict(numbers.pushes))
        total.rejected.update(dict(numbers.rejected))
        total.sent_bytes += numbers.sent_bytes
        total.sent_entries += numbers.sent_entries
        total.late += numbers.late
        total.waiting_bytes += numbers.waiting_bytes
        total.is_away = total.is_away or numbers.is_away
    return total
