"""Alerts and recording rules as Prometheus evaluates them over the running product."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import eventually
from tests.monitoring.conftest import RULES
from tests.monitoring.prometheus import Prometheus

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_finds_nothing_to_say_about_a_file_of_rules(path: Path, promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not RULES, reason="there are no rules")
def test_every_rule_is_evaluated_without_an_error(prom: Prometheus) -> None:
    eventually(lambda: all(rule["health"] != "unknown" for rule in prom.rules()))

    assert [rule["lastError"] for rule in prom.rules() if rule["health"] != "ok"] == []


def test_no_alert_is_on_its_way_while_the_product_is_well(prom: Prometheus) -> None:
    """Thresholds are held against what the processes really tell; those about the pretend cluster may have reasons."""
    eventually(lambda: all(rule["health"] == "ok" for rule in prom.rules()))
    about_cluster = {rule["name"] for rule in prom.rules() if rule["group"].startswith("kubescribe-cluster")}

    def active() -> set[str]:
        return {alert["labels"]["alertname"] for alert in prom.alerts()} - about_cluster

    # What a start pends, such as a journal that is not written yet, is over within seconds.
    eventually(lambda: active() == {"KubescribeWatchdogAlways"}, lambda: (prom.alerts(), prom.troubles()))
