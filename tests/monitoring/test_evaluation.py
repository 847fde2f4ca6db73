"""Alerts and recording rules as Prometheus evaluates them over the running product."""

import pytest

from tests.e2e.processes import eventually
from tests.monitoring.conftest import RULES
from tests.monitoring.contract import rules_of
from tests.monitoring.prometheus import Prometheus

pytestmark = pytest.mark.timeout(120)


def test_every_rule_is_evaluated_without_an_error(prom: Prometheus) -> None:
    eventually(lambda: all(rule["health"] != "unknown" for rule in prom.rules()))

    assert [rule["lastError"] for rule in prom.rules() if rule["health"] != "ok"] == []
    assert len(prom.rules()) == sum(len(rules_of(path)) for path in RULES)


def test_every_record_has_samples_with_the_name_that_it_gives(prom: Prometheus) -> None:
    for rule in (rule for rule in prom.rules() if rule["type"] == "recording"):
        prom.until(rule["name"])
