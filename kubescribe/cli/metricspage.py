"""
The page docs/metrics.md, made from the families that the daemons register: `make docs` writes it, a test compares it.

The aggregator is put together as it runs, over a journal in memory, so that no part's families can be forgotten.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from agent.lines.counting import LineNumbers
from agent.metrics import AgentCollector, AgentNumbers
from agent.shipping.metrics import TailCollector
from agent.tail.counts import TailCounts
from agent.tail.tailer import Tailer
from agent.usage.scraping import OUTCOMES
from aggregator.app import assembled
from aggregator.census.families import COUNTERS, GAUGES
from aggregator.census.roll import Roll
from aggregator.config import AggregatorConfig
from aggregator.outlets.accounts import ZERO_NS
from aggregator.outlets.usage.desk import UsageDesk
from aggregator.outlets.usage.families import USAGE
from kubescribe.gateway.numbers import GatewayCollector, GatewayNumbers, SpoolNumbers
from kubescribe.loki.numbers import LokiCollector
from kubescribe.runtime.exposition import TableFamily
from kubescribe.runtime.settings import build
from kubescribe.runtime.values import HostPort
from kubescribe.wire.link import Usage

_HEAD = """\
# Metrics

Made by `make docs` from the families that the programs register; do not edit.

The aggregator serves them on port 9090, an agent on 9091, both under `/metrics`, as text (0.0.4) and as OpenMetrics for
whoever asks for it, compressed with gzip. `kubescribe up` serves both on one address.

- What is about the cluster comes from the aggregator alone, with labels `namespace`, `pod` and `container` of its own:
  scrape it with `honorLabels: true`. Two installations that record one cluster tell it alike: a Prometheus of both
  needs a label that tells them apart. The chart's scrapes add `installation`, the namespace of whoever tells.
- Counters about the cluster live in the journal: they go on where they stood after a restart of any part, and retention
  does not touch them. What happened is counted once, however often it is seen, in the transaction that stores it.
- A new series is told as 0 for the first {zero} s in which it is scraped: `increase()` then sees its first step.
- Label values come from closed sets or are names of what is in the cluster. A family has at most as many series as its
  limit says; the rest of a counter is counted under the label value `other` (`kubescribe_series_folded_total`), that of
  a gauge as far as a sum makes sense (`kubescribe_series_beyond_limit`). A counter's family that gets full forgets what
  was counted of workloads that have been gone for an hour; who comes back begins at 0.
- `log_lines_total` counts lines that node agents ship (profile `standalone`; without it the family is empty), not those
  that shippers push through the gateway.
- `workload` and `workload_kind` are those of the labels in Loki: a pod of a ReplicaSet of a Deployment is the
  Deployment's, one of a CronJob's Job the CronJob's.
"""

_AGGREGATOR = """
## Of the aggregator, about the cluster

Families without samples are there while `kubescribe_roll_complete` is 0: for a moment after a start, the living objects
are being read from the journal.
"""
_USAGE = """
## Of the aggregator, what pods and nodes use

Only where agents read it: in the profile `standalone`, or with `usage.read: always`. What was not told of for a minute,
or does not live any more, has no series. Counters are those of the kubelet, anew with each container; one that is out
of order is left out until it is in order again, so that no rate is wrong.
"""
_SELF = """
## Of the aggregator, about itself
"""
_AGENT = """
## Of an agent, about itself
"""


def page() -> str:
    """Return the whole page."""
    aggregator = asyncio.run(_of_aggregator())
    limits = {f"kubescribe_{name}": family.max_series for name, family in {**COUNTERS, **GAUGES}.items()}
    cluster = [metric for metric in aggregator if _name(metric) in limits]
    rest = [metric for metric in aggregator if _name(metric) not in limits]
    return "".join(
        (
            _HEAD.format(zero=ZERO_NS // 10**9),
            _AGGREGATOR,
            _table(cluster, limits),
            _USAGE,
            _table(_of_usage(), {f"kubescribe_{name}": family.max_series for name, family in USAGE.items()}),
            _SELF,
            _table(rest, {}),
            _AGENT,
            _table(_of_agent(), {}),
        )
    )


async def _of_aggregator() -> list[Metric]:
    registry = CollectorRegistry()
    free = HostPort("127.0.0.1", 0)
    settings: dict[str, object] = {"store.url": "memory", "http.listen": free, "ingest.listen": free, "metrics": free}
    with tempfile.TemporaryDirectory() as folder:
        # With a Loki, so that the families of the way to it are there; nothing is sent, since no part runs.
        settings |= {"data": Path(folder), "loki.url": "http://127.0.0.1:3100"}
        async with assembled(build(AggregatorConfig, settings), registry):
            return list(registry.collect())


def _of_usage() -> list[Metric]:
    desk = UsageDesk(Roll(), now_ns=lambda: 0)
    desk.take(Usage(source="metrics"))
    return list(desk.collector.collect())


def _of_agent() -> list[Metric]:
    numbers = AgentNumbers(
        counts={},
        requests={},
        failures={},
        restarts={},
        blind_seconds={},
        lists={},
        unseen_seconds={},
        streams={},
        spool_bytes=0,
        spool_limit_bytes=0,
        spool_records=0,
        link_connected=False,
        leader=False,
        usage_rounds=dict.fromkeys(OUTCOMES, 0),
    )
    files = cast(Tailer, SimpleNamespace(counts=TailCounts(), tails={}))
    nothing = SpoolNumbers(bytes=0, oldest_seconds=0.0, damaged_frames=0, damaged_bytes=0)
    parts: list[Collector] = [
        AgentCollector(lambda: numbers),
        TailCollector(files),
        LineNumbers(),
        LokiCollector(),
        GatewayCollector(GatewayNumbers(), lambda: nothing),
    ]
    return [metric for part in parts for metric in part.collect()]


def _table(metrics: Iterable[Metric], limits: dict[str, int]) -> str:
    head = ["name", "type", "labels", *(["limit"] if limits else []), "what it says"]
    rows = [head, ["---"] * len(head)]
    for metric in sorted(metrics, key=_name):
        labels = ", ".join(f"`{label}`" for label in _labels(metric))
        name = _name(metric)
        limit = [f"{limits[name]:,}" if name in limits else ""] if limits else []
        rows.append([f"`{name}`", metric.type, labels, *limit, metric.documentation])
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _name(metric: Metric) -> str:
    """Return the name by which it is asked for."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labels(metric: Metric) -> tuple[str, ...]:
    if isinstance(metric, TableFamily):
        return metric.labels
    declared: tuple[str, ...] = tuple(getattr(metric, "_labelnames", ()))
    told = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
    return declared or tuple(told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/metrics.md.")
    parser.add_argument("path", type=Path)
    parser.parse_args().path.write_text(page(), encoding="utf-8")
