"""
What the product exports, read from what its processes answer: the vocabulary that queries are held against.

A family that has no sample yet has the labels that docs/metrics.md gives it, which another test makes from the code.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.monitoring.promql import TARGET_LABELS, Labels, Vocabulary

METRICS_PAGE = Path(__file__).parents[2] / "docs/metrics.md"

FOREIGN = {
    "up": frozenset[str](),  # Prometheus' own, of each target
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),  # its own, of each alert
    "kube_node_info": frozenset({"node"}),  # kube-state-metrics: which nodes should have an agent
    "kubelet_volume_stats_available_bytes": frozenset({"persistentvolumeclaim", "node"}),  # the kubelet's, of our PVC
    "kubelet_volume_stats_capacity_bytes": frozenset({"persistentvolumeclaim", "node"}),
    "kubelet_volume_stats_used_bytes": frozenset({"persistentvolumeclaim", "node"}),
}
"""What others export and we may ask for, with the reason."""

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_LE = {"_bucket": frozenset({"le"})}
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)


def documented() -> dict[str, Labels]:
    """Return the labels of each family, by the name by which docs/metrics.md knows it; both daemons' together."""
    rows: dict[str, Labels] = {}
    for name, _, labels in _ROW.findall(METRICS_PAGE.read_text()):
        rows[name] = rows.get(name, frozenset()) | frozenset(re.findall(r"`(\w+)`", labels))
    return rows


def told(texts: Iterable[str]) -> Vocabulary:
    """Return what these answers of /metrics tell: their families, whether or not they have samples."""
    page = documented()
    labels: dict[str, Labels] = {}
    kinds: dict[str, set[str]] = {"counter": set(), "histogram": set(), "gauge": set()}
    for family in (family for text in texts for family in parsed(text) if not family.name.endswith("_created")):
        asked_as = f"{family.name}_total" if family.type == "counter" else family.name
        for suffix in _SUFFIXES[family.type]:
            name = family.name + suffix
            kinds[family.type].add(name)
            of_samples = [frozenset(sample.labels) for sample in family.samples if sample.name == name]
            own = frozenset().union(*of_samples) if of_samples else page[asked_as] | _LE.get(suffix, frozenset())
            labels[name] = labels.get(name, TARGET_LABELS) | own
    return Vocabulary(
        labels=labels,
        counters=frozenset(kinds["counter"] | kinds["histogram"]),
        gauges=frozenset(kinds["gauge"]),
    )


def with_foreign(vocabulary: Vocabulary) -> Vocabulary:
    return vocabulary.with_names({name: own | TARGET_LABELS for name, own in FOREIGN.items()})
