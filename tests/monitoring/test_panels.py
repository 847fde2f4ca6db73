"""
Each query of each dashboard, executed by the real Prometheus over the running product: no error, and something to see.

Queries of Loki are held against the contract only: the stand-in understands selectors and filters.
"""

from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.monitoring import dashboards
from tests.monitoring.dashboards import Query, queries_of, substituted
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
