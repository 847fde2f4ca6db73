"""What the agent exports about the lines it ships: how far behind it is, how long that may go on, what was lost."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.tail.losing import CAUSES
from agent.tail.tailer import Tailer
from kubescribe.loki.numbers import by_reason


class TailCollector(Collector):
    """Turns the tailer's numbers into families."""

    def __init__(self, tailer: Tailer) -> None:
        self._tailer = tailer

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        counts = self._tailer.counts
        tails = list(self._tailer.tails.values())
        lost = CounterMetricFamily(
            "kubescribe_log_gap_bytes",
            "Bytes of log files that were lost, as far as they were seen.",
            labels=("cause",),
        )
        for cause in CAUSES:
            lost.add_metric((cause,), counts.gap_bytes[cause])
        yield lost
        gaps = CounterMetricFamily(
            "kubescribe_log_losses",
            "Losses of lines, by cause: of files that were gone before they were opened no bytes are known.",
            labels=("cause",),
        )
        for cause in CAUSES:
            gaps.add_metric((cause,), counts.gaps[cause])
        yield gaps
        yield by_reason(
            "kubescribe_log_rejected_lines", "Lines that Loki will never take, by its reason.", counts.rejected_lines
        )
        yield CounterMetricFamily(
            "kubescribe_log_unlabelled_lines",
            "Lines that went out under the name of their file's path, since nobody told of their pod.",
            value=counts.unlabelled_lines,
        )
        yield CounterMetricFamily("kubescribe_log_read_bytes", "Bytes of log files read.", value=counts.read_bytes)
        yield CounterMetricFamily(
            "kubescribe_log_state_failures",
            "Times that it could not be written how far each file is read.",
            value=counts.store_failures,
        )
        yield GaugeMetricFamily("kubescribe_log_instances", "Instances of containers that are read.", value=len(tails))
        yield GaugeMetricFamily(
            "kubescribe_log_lag_bytes",
            "Bytes of log files on this node that Loki does not have.",
            value=sum(tail.lag for tail in tails),
        )
        yield GaugeMetricFamily(
            "kubescribe_log_seconds_to_loss",
            "When the kubelet deletes what Loki does not have, of the container that is nearest to it, at the pace at"
            " which lines are written and Loki takes them now; +Inf: not in sight. How much it keeps is learned from"
            " what it rotates; before that 5 files of 10 MiB.",
            value=min((tail.seconds_to_loss for tail in tails), default=float("inf")),
        )
