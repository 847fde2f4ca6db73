"""What a gateway counts about itself, and how Prometheus reads it. Plain numbers, read when it asks."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kubescribe.gateway.naming import Found
from kubescribe.loki.answers import REASONS, UNKNOWN
from kubescribe.loki.numbers import by_reason

STATUSES = (204, 400, 401, 403, 413, 429, 500, 503)
"""What pushes are answered with (errors.py): told as 0 before, or the first refusals would be in no rate."""


@dataclass(slots=True)
class GatewayNumbers:
    """Counts since the start: requests by status, lines by how they were named, by what became of them."""

    requests: Counter[int] = field(default_factory=Counter)
    repeats: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unsendable_lines: int = 0

    def reject(self, reason: str, count: int) -> None:
        """Count *count* lines that Loki refused for *reason*."""
        self.rejected[reason if reason in REASONS else UNKNOWN] += count


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolNumbers:
    """One look at the spool; `oldest_seconds` is how long ago what waits longest came, 0 where nothing waits."""

    bytes: int
    oldest_seconds: float
    damaged_frames: int
    damaged_bytes: int


class GatewayCollector(Collector):
    """Both, as families."""

    def __init__(self, numbers: GatewayNumbers, spool: Callable[[], SpoolNumbers]) -> None:
        self._numbers = numbers
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        numbers, spool = self._numbers, self._spool()
        requests = {**dict.fromkeys(STATUSES, 0), **numbers.requests}
        yield _by("requests", "Pushes, by the status that they were answered with.", "code", requests)
        yield _counter("repeats", "Pushes that had come before and were answered 204 again.", numbers.repeats)
        lines = {**dict.fromkeys(get_args(Found), 0), **numbers.lines}
        yield _by("lines", "Lines that were taken, by whether their pod was found.", "pod", lines)
        yield _counter("accepted_lines", "Lines that are in Loki.", numbers.accepted)
        yield by_reason(
            "kubescribe_gateway_rejected_lines", "Lines that Loki refused for good, by its reason.", numbers.rejected
        )
        yield _counter(
            "unsendable_lines", "Lines in the spool that could not be made a push of.", numbers.unsendable_lines
        )
        yield _counter("damaged_frames", "Pushes that were lost with a damaged spool.", spool.damaged_frames)
        yield _counter("damaged_bytes", "Bytes of the spool that are no pushes.", spool.damaged_bytes)
        yield GaugeMetricFamily(
            "kubescribe_gateway_spool_bytes", "What the gateway's spool takes on disk.", value=spool.bytes
        )
        yield GaugeMetricFamily(
            "kubescribe_gateway_oldest_unsent_seconds",
            "How long ago the oldest push came that Loki has not.",
            value=spool.oldest_seconds,
        )


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"kubescribe_gateway_{name}", text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, int] | Mapping[int, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"kubescribe_gateway_{name}", text, labels=(label,))
    for value, count in values.items():
        family.add_metric((str(value),), count)
    return family
