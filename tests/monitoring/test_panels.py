"""
Each query of each dashboard, executed by the real Prometheus over the running product: no error, and something to see.

Of the queries of Loki the selectors are executed: the stand-in sums nothing.
"""

from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.monitoring import dashboards
from tests.monitoring.dashboards import Query, queries_of, substituted
from tests.monitoring.logql import selectors
from tests.monitoring.product import Product
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.promql import OPTIONAL

pytestmark = pytest.mark.timeout(120)

RANGE_SECONDS = 60
EXECUTED = {
    **dashboards.CHECKED,
    "__rate_interval": "1m",
    "__interval": "1s",
    "__interval_ms": "1000",
    "__range": f"{RANGE_SECONDS}s",
    "__range_s": str(RANGE_SECONDS),
    "__range_ms": str(RANGE_SECONDS * 1000),
}
"""Grafana's variables over all that there is: a minute."""

EMPTY = {("kubescribe-storage", "Counts folded into other"): "it takes thousands of series to reach a limit"}
"""Panels that show nothing here, with the reason."""


def asked(query: Query, board: dashboards.Dashboard) -> str:
    return substituted(query.expr, {**board.values(), **EXECUTED})


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_query_is_executed_and_every_panel_shows_something(path: Path, prom: Prometheus) -> None:
    board = dashboards.read(path)
    panels = {panel["title"]: [it for it in queries_of(panel) if it.kind == "prometheus"] for panel in board.panels()}

    def empty() -> set[str]:
        return {
            title
            for title, queries in panels.items()
            if queries and not any(prom.query_range(asked(it, board), seconds=RANGE_SECONDS) for it in queries)
        }

    left = {title for name, title in EMPTY if name == board.name}
    eventually(lambda: empty() == left, lambda: (empty() - left, left - empty()))


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_variable_and_annotation_of_prometheus_is_answered(path: Path, prom: Prometheus) -> None:
    board = dashboards.read(path)
    of_panels = {query.where for panel in board.panels() for query in queries_of(panel)}

    for query in (it for it in board.queries() if it.kind == "prometheus" and it.where not in of_panels):
        found = prom.query(asked(query, board))

        assert found, query.where
        if query.label and query.label not in OPTIONAL:
            assert all(query.label in sample.labels for sample in found), query.where


@pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
def test_every_stream_that_is_asked_for_is_in_loki(path: Path, product: Product) -> None:
    board = dashboards.read(path)
    queries = [asked(query, board) for query in board.queries() if query.kind == "loki"]

    for selector in sorted({selector for query in queries for selector in selectors(query)}):
        eventually(lambda selector=selector: product.streams(selector), lambda selector=selector: selector)
