"""The PrometheusRules: alerts and records of files/rules, switched, overridden, linked, and never templated by Helm."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.rendering import CHART
from tests.charts.conftest import Rendering, example, refusal, render
from tests.programs import program

ALERTS = """\
groups:
  - name: kubescribe-aggregator
    interval: 30s
    rules:
      - alert: AggregatorDown
        expr: absent(kubescribe_journal_seq)
        for: 5m
        labels: {severity: critical}
        annotations:
          summary: 'No aggregator: {{ $labels.namespace }} {{ $value | humanize }}'
          runbook_url: docs/runbooks/aggregator.md#aggregatordown
          dashboard_url: /d/kubescribe-pipeline
      - alert: WriteErrors
        expr: kubescribe_journal_writable == 0
        labels: {severity: critical, part: journal}
        annotations: {summary: It cannot write, runbook_url: 'https://example.org/x'}
  - name: kubescribe-cluster-facing
    rules:
      - alert: PodOOMKilledBurst
        expr: sum by (namespace) (increase(kubescribe_container_terminations_total{reason="OOMKilled"}[10m])) > 5
        labels: {severity: warning}
        annotations: {summary: Memory}
      - alert: CrashLoopAfterRollout
        expr: vector(1)
        labels: {severity: warning}
"""
RECORDS = """\
groups:
  - name: kubescribe-records
    rules:
      - record: namespace:kubescribe_restarts:rate5m
        expr: sum by (namespace) (rate(kubescribe_container_restarts_total[5m]))
"""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with four small alerts instead of its own."""
    folder = tmp_path_factory.mktemp("charts") / "kubescribe"
    shutil.copytree(CHART, folder, ignore=shutil.ignore_patterns("rules"))
    (folder / "files/rules").mkdir(parents=True)
    (folder / "files/rules/alerts.yaml").write_text(ALERTS, encoding="utf-8")
    (folder / "files/rules/records.yaml").write_text(RECORDS, encoding="utf-8")
    return folder


def values(**monitoring: Any) -> dict[str, Any]:
    return {"monitoring": {"enabled": True, "operator": "always", **monitoring}}


def alerts(chart: Path, **said: Any) -> dict[str, dict[str, Any]]:
    """The alerts that are there when that is said of them, by name."""
    made = render(values(alerts=said), chart=chart).find("PrometheusRule", "alerts")
    groups = made["spec"]["groups"] if made else []
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def rules_of(made: Rendering) -> set[str]:
    return {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in made.kind("PrometheusRule")}


def test_alerts_of_the_cluster_are_off_unless_they_are_asked_for(chart: Path) -> None:
    own = {"AggregatorDown", "WriteErrors"}

    assert alerts(chart).keys() == own
    assert alerts(chart, clusterFacing=True).keys() == own | {"PodOOMKilledBurst", "CrashLoopAfterRollout"}
    assert alerts(chart, disabled={"PodOOMKilledBurst": False}).keys() == own | {"PodOOMKilledBurst"}


def test_each_alert_can_be_switched_off(chart: Path) -> None:
    for name in alerts(chart, clusterFacing=True):
        assert name not in alerts(chart, clusterFacing=True, disabled={name: True})


def test_a_group_without_alerts_is_left_out_and_so_is_an_object_without_groups(chart: Path) -> None:
    off = {"AggregatorDown": True, "WriteErrors": True}

    assert alerts(chart, disabled=off) == {}
    made = render(values(alerts={"disabled": off, "clusterFacing": True}), chart=chart)
    assert [group["name"] for group in made.one("PrometheusRule", "alerts")["spec"]["groups"]] == [
        "kubescribe-cluster-facing"
    ]


@pytest.mark.parametrize("on", [{"alerts"}, {"records"}, {"alerts", "records"}, set()])
def test_alerts_and_records_are_switched_apart(chart: Path, on: set[str]) -> None:
    made = render(values(**{part: {"enabled": part in on} for part in ("alerts", "records")}), chart=chart)

    assert rules_of(made) == on


def test_rules_are_the_operators(chart: Path) -> None:
    assert rules_of(render({"monitoring": {"enabled": True}}, chart=chart)) == set()
    assert rules_of(render({"monitoring": {"enabled": True}}, chart=chart, apis=["monitoring.coreos.com/v1"])) == {
        "alerts",
        "records",
    }


def test_what_nobody_touches_is_as_in_the_file(chart: Path) -> None:
    made = render(values(alerts={"clusterFacing": True}), chart=chart)

    for part, text in (("alerts", ALERTS), ("records", RECORDS)):
        assert made.one("PrometheusRule", part)["spec"] == yaml.safe_load(text)


def test_an_alert_can_be_overridden_in_whatever_it_says(chart: Path) -> None:
    override = {
        "severity": "warning",
        "for": "30m",
        "keep_firing_for": "1h",
        "expr": "kubescribe_journal_seq < 1",
        "labels": {"team": "storage"},
        "annotations": {"summary": "Own {{ $value }}"},
    }
    found = alerts(chart, overrides={"AggregatorDown": override})

    assert found["AggregatorDown"] == {
        "alert": "AggregatorDown",
        "expr": "kubescribe_journal_seq < 1",
        "for": "30m",
        "keep_firing_for": "1h",
        "labels": {"severity": "warning", "team": "storage"},
        "annotations": {
            "summary": "Own {{ $value }}",
            "runbook_url": "docs/runbooks/aggregator.md#aggregatordown",
            "dashboard_url": "/d/kubescribe-pipeline",
        },
    }
    assert found["WriteErrors"] == alerts(chart)["WriteErrors"]


def test_labels_for_all_alerts_win_over_the_file_s_and_lose_against_an_override(chart: Path) -> None:
    found = alerts(
        chart,
        additionalLabels={"team": "platform", "part": "kubescribe"},
        overrides={"AggregatorDown": {"labels": {"team": "storage"}}},
    )

    assert found["AggregatorDown"]["labels"] == {"severity": "critical", "part": "kubescribe", "team": "storage"}
    assert found["WriteErrors"]["labels"] == {"severity": "critical", "part": "kubescribe", "team": "platform"}


def test_links_begin_where_runbooks_and_grafana_are(chart: Path) -> None:
    found = alerts(chart, runbookUrl="https://git.example.org/main/", dashboardUrl="https://grafana.example.org")

    assert (
        found["AggregatorDown"]["annotations"].items()
        >= {
            "runbook_url": "https://git.example.org/main/docs/runbooks/aggregator.md#aggregatordown",
            "dashboard_url": "https://grafana.example.org/d/kubescribe-pipeline",
        }.items()
    )
    assert found["WriteErrors"]["annotations"]["runbook_url"] == "https://example.org/x", "it is whole"


@pytest.mark.parametrize("key", ["disabled", "overrides"])
def test_an_alert_that_is_not_there_can_neither_be_switched_off_nor_overridden(chart: Path, key: str) -> None:
    named: dict[str, Any] = {"AgregatorDown": True if key == "disabled" else {"severity": "info"}}
    told = refusal(values(alerts={key: named}), chart=chart)

    assert f"monitoring.alerts.{key}.AgregatorDown: there is no alert of that name" in told
    assert "AggregatorDown, CrashLoopAfterRollout, PodOOMKilledBurst, WriteErrors" in told


def test_a_typo_is_told_also_while_the_section_is_off(chart: Path) -> None:
    assert "no alert of that name" in refusal({"monitoring": {"alerts": {"disabled": {"X": True}}}}, chart=chart)


def test_prometheus_takes_the_rules_as_they_are_rendered(chart: Path, tmp_path: Path) -> None:
    override = {"for": "30m", "keep_firing_for": "1h", "annotations": {"summary": "{{ $labels.instance }}"}}
    overridden = values(alerts={"clusterFacing": True, "overrides": {"AggregatorDown": override}})
    rules = [
        rule
        for made in (render(overridden, chart=chart), render(example("monitoring")))
        for rule in made.kind("PrometheusRule")
    ]
    files = [tmp_path / f"{n}.yaml" for n in range(len(rules))]
    for file, rule in zip(files, rules, strict=True):
        file.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")

    done = subprocess.run(
        [program("promtool"), "check", "rules", *files], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files) >= 2


def test_of_the_chart_s_own_alerts_those_about_the_cluster_are_off() -> None:
    every, usual = (alerts(CHART, clusterFacing=wanted) for wanted in (True, False))

    assert every.keys() - usual.keys() == {"KubescribePodOOMKilledBurst", "KubescribeCrashLoopAfterRollout"}
    assert len(usual) > 10
