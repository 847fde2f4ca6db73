"""Dashboards and rules against what is exported: what each asks for that there is not. Pure; faults are sentences."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.monitoring import logql, promql
from tests.monitoring.columns import faults_of_table
from tests.monitoring.dashboards import CHECKED, RANGE, RATE_INTERVAL, Dashboard, Query, queries_of, substituted
from tests.monitoring.promql import Judged, Labels, Vocabulary

RULES = sorted((Path(__file__).parents[2] / "charts/kubescribe/files/rules").glob("*.yaml"))

SHORTEST = timedelta(minutes=2)
"""Four scrapes at the usual 30 s. One number may have such a window of its own, and keeps its meaning in any range."""

_IN_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_IN_ANNOTATION = re.compile(r"\$labels\.(\w+)|\.Labels\.(\w+)")
_IN_LINK = re.compile(r"\$\{__field\.labels\.(\w+)")


def rules_of(path: Path) -> list[dict[str, Any]]:
    """Return the rules of a file, in order."""
    groups = (yaml.safe_load(path.read_text()) or {}).get("groups") or []
    return [rule for group in groups for rule in group["rules"]]


def with_records(known: Vocabulary, rules: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """Return a vocabulary that knows what recording rules make, each with the labels that it can have."""
    for rule in (rule for rule in rules if "record" in rule):
        known = known.with_names({rule["record"]: promql.judged(rule["expr"], known).labels | set(_own(rule))})
    return known


def faults_of_rule(rule: Mapping[str, Any], known: Vocabulary) -> list[str]:
    """Return what is wrong with an alert or a recording rule."""
    name = rule.get("alert") or rule["record"]
    found = promql.judged(rule["expr"], known)
    faults = [f"{name}: {problem}" for problem in found.problems]
    labels = found.labels | set(_own(rule))
    for where, text in {**(rule.get("annotations") or {}), **_own(rule)}.items():
        used = {first or second for first, second in _IN_ANNOTATION.findall(str(text))}
        faults += [f"{name}: {where}: the result has no label {label}" for label in sorted(used - labels)]
    return faults


def faults_of_dashboard(dashboard: Dashboard, known: Vocabulary) -> list[str]:
    """Return what is wrong with everything that a dashboard asks."""
    faults = [fault for query in dashboard.queries() for fault in faults_of_query(query, dashboard.values(), known)]
    for panel in dashboard.panels():
        results = [judged(query, dashboard.values(), known) for query in queries_of(panel)]
        if not any(result.is_lost for result in results):
            labels = frozenset[str]().union(*(result.labels for result in results))
            faults += [f"panel {panel['title']!r}: {fault}" for fault in _faults_of_looks(panel, labels)]
    return [f"{dashboard.name}: {fault}" for fault in faults]


def _faults_of_looks(panel: Mapping[str, Any], labels: Labels) -> Iterator[str]:
    """Tell what a panel does with labels that none of its series has."""
    used = set(_IN_LINK.findall(str(panel.get("fieldConfig"))))
    yield from (f"a link: no series has the label {label}" for label in sorted(used - labels))
    if panel["type"] == "table":
        yield from faults_of_table(panel, labels)


def faults_of_query(query: Query, values: Mapping[str, str], known: Vocabulary) -> list[str]:
    """Return what is wrong with one query and its legend."""
    found = judged(query, values, known)
    faults = list(found.problems)
    wanted = {*_IN_LEGEND.findall(query.legend), *([query.label] if query.label else [])}
    if not found.is_lost:
        faults += [f"the result has no label {label}" for label in sorted(wanted - found.labels)]
    others = [window for window in found.rate_ranges if window not in {RATE_INTERVAL, RANGE}]
    if others and not query.is_instant:
        faults.append("rate and irate over time are for $__rate_interval, or for $__range")
    if any(window < SHORTEST for window in others):
        faults.append("a window that may hold no two scrapes")
    return [f"{query.where}: {fault}" for fault in faults]


def judged(query: Query, values: Mapping[str, str], known: Vocabulary) -> Judged:
    """Judge a query with the values of a dashboard's variables."""
    expr = substituted(query.expr, {**values, **CHECKED})
    return logql.judged(expr) if query.kind == "loki" else promql.judged(expr, known)


def _own(rule: Mapping[str, Any]) -> dict[str, str]:
    return dict(rule.get("labels") or {})
