"""Large families say the same as prometheus_client would, in both formats."""

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import Collector

from kubescribe.runtime.exposition import CHUNK_ROWS, TableFamily, exposition

ROWS = [(("shop", 'a"b'), 1), (("back\\slash", "two\nlines"), 2.5), (("plain", "ünï"), 1e17)]


class Families(Collector):
    """Some families, as tables or as prometheus_client's own."""

    def __init__(self, rows, *, tables: bool) -> None:
        self.rows, self.tables = rows, tables

    def collect(self):
        names = ("namespace", "name")
        if self.tables:
            yield TableFamily("t_pods", 'Pods, "all"\\.', "gauge", names, lambda: self.rows)
            yield TableFamily("t_deaths", "Deaths.", "counter", names, lambda: self.rows)
            return
        gauge = GaugeMetricFamily("t_pods", 'Pods, "all"\\.', labels=names)
        counter = CounterMetricFamily("t_deaths", "Deaths.", labels=names)
        for labels, value in self.rows:
            gauge.add_metric(labels, value)
            counter.add_metric(labels, value)
        yield from (gauge, counter)


def registry_of(rows, *, tables: bool) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("other_things", "Other things.", registry=registry).inc()
    registry.register(Families(rows, tables=tables))
    return registry


def told(metrics) -> dict:
    return {
        (metric.name, metric.type, metric.documentation): sorted(
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for sample in metric.samples
            if not sample.name.endswith("_created")
        )
        for metric in metrics
        if not metric.name.endswith("_created")
    }


@pytest.mark.parametrize(
    ("encoder", "parser", "is_openmetrics"),
    [(generate_latest, parse, False), (openmetrics, parse_openmetrics, True)],
    ids=["text", "openmetrics"],
)
@pytest.mark.parametrize("rows", [ROWS, [], [((f"n{n}", "x"), n) for n in range(2 * CHUNK_ROWS + 1)]])
def test_a_table_reads_as_if_prometheus_client_had_written_it(encoder, parser, is_openmetrics, rows) -> None:
    text = b"".join(exposition(registry_of(rows, tables=True), encoder, is_openmetrics=is_openmetrics)).decode()

    wanted = encoder(registry_of(rows, tables=False)).decode()
    assert told(parser(text)) == told(parser(wanted))


def test_whoever_reads_samples_gets_them_too() -> None:
    text = generate_latest(registry_of(ROWS, tables=True))

    assert told(parse(text.decode())) == told(parse(generate_latest(registry_of(ROWS, tables=False)).decode()))
