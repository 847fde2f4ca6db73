"""What answering for lines costs and loses: plain numbers, read when Prometheus asks."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True, eq=False)
class LineNumbers(Collector):
    """Counters of one reader; `following` is how many follow now."""

    requests: int = 0
    refused: int = 0
    read_bytes: int = 0
    dropped: int = 0
    following: int = 0

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield CounterMetricFamily("kubescribe_lines_requests", "Requests for lines of this node.", self.requests)
        yield CounterMetricFamily(
            "kubescribe_lines_refused", "Requests for lines that were refused, too many at once included.", self.refused
        )
        yield CounterMetricFamily(
            "kubescribe_lines_read_bytes", "Bytes of log files read for requests.", self.read_bytes
        )
        yield CounterMetricFamily(
            "kubescribe_lines_dropped", "Lines that came faster than who followed them took them.", self.dropped
        )
        yield GaugeMetricFamily("kubescribe_lines_following", "Requests that follow lines now.", self.following)
