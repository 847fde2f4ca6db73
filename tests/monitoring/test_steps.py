"""Counters as Prometheus sees them: the first step is not missed, and a killed aggregator is no reset."""

import asyncio

import pytest

from tests.monitoring.product import Product
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.stirring import GRINDER, kill_grinder

pytestmark = pytest.mark.timeout(120)

OOM = f'kubescribe_container_terminations_total{{namespace="default", workload="{GRINDER}", reason="OOMKilled"}}'
COUNTERS = "kubescribe_(changes|occurrences|gaps|rollouts|container_restarts|container_terminations)_total"


def test_the_first_oom_kill_and_the_one_after_a_kill_are_each_an_increase_of_one(
    product: Product, prom: Prometheus
) -> None:
    prom.until(f"{OOM} == 0")

    asyncio.run(kill_grinder(product, 1))
    prom.until(f"{OOM} == 1")
    first = prom.query(f"increase({OOM}[5m]) > 0")
    product.restart_aggregator()
    prom.scraped()
    prom.until(f"{OOM} == 1")
    asyncio.run(kill_grinder(product, 2))
    prom.until(f"{OOM} == 2")

    assert len(first) == 1
    # What the journal counts goes on; what the process counts about itself begins anew.
    assert prom.query(f'resets({{__name__=~"{COUNTERS}"}}[10m]) > 0') == []
    assert prom.query("resets(kubescribe_ingest_commits_total[10m]) > 0") != []
    (steps,) = prom.query_range(OOM, seconds=60, step=0.5)
    assert [value for _, value in steps.values] == sorted(value for _, value in steps.values)
