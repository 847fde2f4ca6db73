"""The outlet as a whole: two readers of the journal, their names, their metrics, as parts of an aggregator."""

from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.outlets.loki.entries import LokiEntry
from aggregator.outlets.loki.reading import Cursors, LokiReader
from aggregator.outlets.loki.subjects import Reader, Subjects
from aggregator.outlets.loki.translating import Translator
from kubescribe.loki.pushes import Sender
from kubescribe.runtime.tasks import Part

STREAMS = ("event", "termination", "change")


class OutletJournal(Cursors, Reader, Protocol):
    """The part of the journal that the outlet needs."""


class LokiOutlet(Collector):
    """
    Brings Events, terminations and changes to Loki; also the collector of what it tells about itself.

    `cluster` and `last_seq` are asked when needed: both grow while it runs.
    """

    def __init__(
        self,
        journal: OutletJournal,
        sender: Sender,
        *,
        cluster: Callable[[], str],
        last_seq: Callable[[], int],
        now_ns: Callable[[], int],
    ) -> None:
        subjects = Subjects(journal, cluster=cluster, now_ns=now_ns)
        self._translator = Translator(journal, subjects)

        async def occurrences(rows: list[bytes]) -> list[LokiEntry]:
            return [entry for row in rows for entry in await self._translator.of_occurrence(row)]

        self.readers = tuple(
            LokiReader(journal, sender, translate, topic=topic, last_seq=last_seq, now_ns=now_ns)
            for topic, translate in (("occurrences", occurrences), ("changes", self._translator.of_changes))
        )

    def parts(self) -> list[Part]:
        """Return what has to run, each to be stopped before the way to Loki is."""
        return [Part(name=reader.name, run=reader.run, stop=reader.stop) for reader in self.readers]

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        lag = GaugeMetricFamily(
            "kubescribe_loki_outlet_lag_seconds",
            "How long the oldest record of the journal waits that Loki has not taken.",
            labels=("topic",),
        )
        overtaken = CounterMetricFamily(
            "kubescribe_loki_outlet_overtaken",
            "Times that retention deleted records before Loki took them.",
            labels=("topic",),
        )
        sent: dict[str, int] = dict.fromkeys(STREAMS, 0)
        for reader in self.readers:
            lag.add_metric((reader.topic,), reader.lag_seconds())
            overtaken.add_metric((reader.topic,), reader.overtaken)
            for stream, count in dict(reader.sent).items():
                sent[stream] = sent.get(stream, 0) + count
        entries = CounterMetricFamily(
            "kubescribe_loki_outlet_entries", "Entries made for Loki of the journal's records.", labels=("stream",)
        )
        for stream, count in sent.items():
            entries.add_metric((stream,), count)
        yield from (lag, overtaken, entries)
        yield CounterMetricFamily(
            "kubescribe_loki_outlet_unreadable",
            "Records of which no entry could be made.",
            value=self._translator.unreadable,
        )
