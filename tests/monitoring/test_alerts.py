"""
Every alert fires, does not fire, and ends, when it should: promtool runs the cases of rules/*.yaml.

They can be run by hand as they are: `promtool test rules tests/monitoring/rules/agents.yaml`.
"""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from scripts.alertspage import page
from tests.monitoring.alertfiles import CASES, ROOT, RULES, Alert, alerts, cases, groups, read, rules_of

ALERTS = alerts()
OF_EACH_ALERT = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
SEVERITIES = {"critical", "warning", "info"}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def with_rules(path: Path, folder: Path) -> Path:
    """Return a copy of a file of cases that loads those alerts alone which it names."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r'alertname="(\w+)"', text)) or {alert.name for alert in ALERTS}
    (folder / "rules.yaml").write_text(rules_of(named))
    copy = folder / path.name
    copy.write_text(re.sub(r"(?m)^rule_files: .*$", "rule_files: [rules.yaml]", text))
    return copy


@pytest.mark.parametrize("name", ["alerts.yaml", "records.yaml"])
def test_prometheus_takes_the_rules(promtool: str, name: str) -> None:
    done = run(promtool, "check", "rules", str(RULES / name))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_alerts_do_what_their_cases_say(promtool: str, tmp_path: Path, path: Path) -> None:
    done = run(promtool, "test", "rules", str(with_rules(path, tmp_path)))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cases_load_the_alerts_of_the_chart() -> None:
    for path in CASES:
        assert [(path.parent / name).resolve() for name in read(path)["rule_files"]] == [RULES / "alerts.yaml"], path


@OF_EACH_ALERT
def test_every_alert_is_shown_to_fire_to_keep_silent_and_to_end(alert: Alert) -> None:
    own = [case for case in cases() if case.alert == alert.name]

    assert any(case.fires for case in own), "no case in which it fires"
    assert any(not case.fires for case in own), "no case in which it does not fire"
    assert any(case.resolves for case in own), "no case in which it ends"


def test_every_case_is_about_an_alert_or_about_all_of_them() -> None:
    names = {alert.name for alert in ALERTS}

    assert {case.alert for case in cases() if case.file != "quiet.yaml"} <= names


@OF_EACH_ALERT
def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert: Alert) -> None:
    is_watchdog = alert.name == "KubescribeWatchdogAlways"

    assert re.fullmatch(r"Kubescribe[A-Z]\w+", alert.name)
    assert alert.labels["severity"] in ({"none"} if is_watchdog else SEVERITIES)
    assert set(alert.annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert len(alert.annotations["summary"]) < 120, "one line of a pager"
    assert alert.annotations["summary"].endswith(".")


@OF_EACH_ALERT
def test_every_link_of_an_alert_leads_somewhere(alert: Alert) -> None:
    page_name, _, anchor = alert.annotations["runbook_url"].partition("#")
    assert Path(page_name).parent == Path("docs/runbooks")
    headings = re.findall(r"^## (\w+)$", (ROOT / page_name).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert.name.lower()
    assert alert.name in headings

    target = urlsplit(alert.annotations["dashboard_url"])
    dashboard = json.loads((RULES.parent / f"dashboards/{target.path.removeprefix('/d/')}.json").read_text())
    assert f"/d/{dashboard['uid']}" == target.path
    assert {name.removeprefix("var-") for name in parse_qs(target.query)} <= {
        variable["name"] for variable in dashboard["templating"]["list"]
    }


def test_the_runbooks_are_about_alerts_that_there_are() -> None:
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/runbooks").glob("*.md"))]
    headings = [name for text in pages for name in re.findall(r"^## (Kubescribe\w+)$", text, re.MULTILINE)]

    assert sorted(headings) == sorted(alert.name for alert in ALERTS)


def test_annotations_are_filled_in_without_an_error(promtool: str, tmp_path: Path) -> None:
    """Where nothing is expected, promtool prints what it got: the annotations with labels and values in them."""
    files = []
    for alert in ALERTS:
        case = next(case for case in cases() if case.alert == alert.name and case.fires)
        when = next(time for time, count in case.expected if count)
        check = {"alertname": alert.name, "eval_time": f"{when.seconds}s", "exp_alerts": []}
        test = {**case.series, "alert_rule_test": [check]}
        (tmp_path / f"{alert.name}.rules").write_text(rules_of({alert.name}))
        files.append(str(tmp_path / f"{alert.name}.yaml"))
        interval = "5m" if case.file == "hours.yaml" else "1m"
        told = {"rule_files": [f"{alert.name}.rules"], "evaluation_interval": interval, "tests": [test]}
        (tmp_path / f"{alert.name}.yaml").write_text(yaml.safe_dump(told))

    done = run(promtool, "test", "rules", *files)
    got = [part for part in (done.stdout + done.stderr).split("Annotations:{")[1:] if "runbook_url=" in part]

    assert len(got) >= len(ALERTS)
    assert not [part for part in got if "<error" in part or "<no value>" in part or "%!" in part]


def test_what_is_about_the_cluster_is_apart_so_that_the_chart_can_leave_it_out() -> None:
    apart = {alert.name for alert in ALERTS if alert.group.startswith("kubescribe-cluster")}

    assert apart == {"KubescribePodOOMKilledBurst", "KubescribeCrashLoopAfterRollout"}


def test_no_alert_needs_a_recording_rule() -> None:
    """The chart can leave these out."""
    recorded = {rule["record"] for group in groups("records.yaml") for rule in group["rules"]}
    text = (RULES / "alerts.yaml").read_text(encoding="utf-8")

    assert not any(name in text for name in recorded)
    assert all(re.fullmatch(r"[a-z_]+:kubescribe_[a-z_]+:[a-z0-9_]+", name) for name in recorded)


def test_what_the_page_says_to_an_alertmanager_is_about_alerts_that_there_are() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", page(), re.DOTALL)
    said = yaml.safe_load(text)
    names = {alert.name for alert in ALERTS}

    assert said["route"]["group_by"] == ["alertname", "cluster", "namespace"]
    for rule in said["inhibit_rules"]:
        matchers = [*rule["source_matchers"], *rule["target_matchers"]]
        named = {name for matcher in matchers for name in re.findall(r"Kubescribe\w+", matcher)}
        assert named <= names
        assert rule["equal"] == ["cluster", "namespace"]


def test_the_alert_for_many_nodes_comes_before_those_for_each_so_that_it_can_silence_them() -> None:
    after = {rule["alert"]: int(rule["for"].removesuffix("m")) for rule in groups()[1]["rules"] if "for" in rule}

    assert after["KubescribeAgentsMissing"] < min(after["KubescribeAgentDown"], after["KubescribeAgentAbsentOnNode"])


def test_the_page_of_the_alerts_is_that_of_the_file() -> None:
    assert (ROOT / "docs/alerts.md").read_text(encoding="utf-8") == page(), "run `make docs`"
