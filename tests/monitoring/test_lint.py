"""Each rule of the linter, and of what a dashboard may ask, can fail: one good dashboard, spoiled in one place."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.monitoring import contract, lint
from tests.monitoring.dashboards import Dashboard, substituted, variables_in
from tests.monitoring.promql import TARGET_LABELS, Vocabulary

KNOWN = Vocabulary(
    labels={
        "restarts_total": TARGET_LABELS | {"workload"},
        "pods": TARGET_LABELS | {"phase"},
        "restarts:rate": frozenset({"workload"}),
    },
    counters=frozenset({"restarts_total"}),
    gauges=frozenset({"pods"}),
)
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
LOKI = {"type": "loki", "uid": "${loki}"}
LINK = {"title": "look", "url": "/x?workload=${__field.labels.workload}&from=${__from}"}


def good() -> dict[str, Any]:
    return {
        "uid": "good",
        "title": "Good",
        "description": "Good.",
        "editable": False,
        "schemaVersion": 39,
        "templating": {
            "list": [
                {"name": "prometheus", "type": "datasource", "query": "prometheus"},
                {"name": "loki", "type": "datasource", "query": "loki"},
                {"name": "top", "type": "custom", "query": "5,10", "current": {"value": "5"}},
                {
                    "name": "phase",
                    "type": "query",
                    "datasource": PROMETHEUS,
                    "query": {"query": "label_values(pods, phase)"},
                    "refresh": 2,
                },
                {
                    "name": "stream",
                    "type": "query",
                    "datasource": LOKI,
                    "query": {"type": 1, "stream": '{namespace=~".+"}', "label": "stream"},
                    "refresh": 2,
                },
            ]
        },
        "annotations": {
            "list": [
                {"name": "theirs", "datasource": {"type": "grafana", "uid": "-- Grafana --"}},
                {"name": "changes", "datasource": LOKI, "expr": '{stream="change"} | logfmt | verb!=""'},
            ]
        },
        "panels": [
            {
                "id": 1,
                "type": "timeseries",
                "title": "Restarts",
                "description": "How often.",
                "datasource": PROMETHEUS,
                "gridPos": {"x": 0, "w": 12},
                "fieldConfig": {"defaults": {"unit": "short", "links": [LINK]}, "overrides": []},
                "targets": [
                    {
                        "refId": "A",
                        "expr": "topk($top, sum by (workload) (rate(restarts_total[$__rate_interval])))",
                        "legendFormat": "{{workload}}",
                    }
                ],
            },
            {
                "id": 3,
                "type": "table",
                "title": "Worst",
                "description": "Where.",
                "datasource": PROMETHEUS,
                "fieldConfig": {
                    "defaults": {"unit": "short", "links": [{"url": "/x?workload=${__data.fields.workload}"}]},
                    "overrides": [{"matcher": {"id": "byName", "options": "Pods"}, "properties": []}],
                },
                "targets": [
                    {"refId": "A", "instant": True, "expr": "sum by (workload) (increase(restarts_total[1h]))"},
                    {"refId": "B", "instant": True, "expr": "count by (workload) (restarts:rate)"},
                ],
                "transformations": [
                    {
                        "id": "organize",
                        "options": {
                            "excludeByName": {"Time": True},
                            "indexByName": {"workload": 0},
                            "renameByName": {"Value #A": "Restarts", "Value #B": "Pods"},
                        },
                    },
                    {"id": "sortBy", "options": {"sort": [{"field": "Restarts", "desc": True}]}},
                ],
            },
            {
                "type": "row",
                "panels": [
                    {
                        "id": 2,
                        "type": "logs",
                        "title": "Lines",
                        "description": "What they say.",
                        "datasource": LOKI,
                        "targets": [{"refId": "A", "expr": '{namespace=~".+", stream=~"$stream"}'}],
                    }
                ],
            },
        ],
    }


def faults_of(body: dict[str, Any]) -> list[str]:
    dashboard = Dashboard("good", body)
    return lint.faults(dashboard) + contract.faults_of_dashboard(dashboard, KNOWN)


def test_a_good_dashboard_has_no_faults() -> None:
    assert faults_of(good()) == []


def panel(body: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = body["panels"][0]
    return first


def target(body: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = panel(body)["targets"][0]
    return first


def lines(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["panels"][2]["panels"][0]
    return found


def table(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["panels"][1]
    return found


def organized(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = table(body)["transformations"][0]["options"]
    return found


def variable(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(it for it in body["templating"]["list"] if it["name"] == name)
    return found


SPOILED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "uid": (lambda it: it.update(uid="other"), "its uid is other"),
    "id": (lambda it: it.update(id=7), "an id belongs to one Grafana"),
    "schema": (lambda it: it.update(schemaVersion=41), "schemaVersion 41"),
    "editable": (lambda it: it.pop("editable"), "it is editable"),
    "about": (lambda it: it.pop("description"), "it needs a title and a description"),
    "title": (lambda it: panel(it).update(title=""), "panel 1 has no title"),
    "description": (lambda it: lines(it).pop("description"), "panel 'Lines' has no description"),
    "unit": (lambda it: panel(it)["fieldConfig"]["defaults"].pop("unit"), "panel 'Restarts' has no unit"),
    "source": (
        lambda it: target(it).update(datasource={"type": "prometheus", "uid": "P1809F7CD0C75ACF3"}),
        "panel 'Restarts' A: its datasource is no variable",
    ),
    "source of another kind": (
        lambda it: variable(it, "phase").update(datasource={"type": "prometheus", "uid": "${loki}"}),
        "variable phase: its datasource is no variable",
    ),
    "refresh": (lambda it: variable(it, "phase").update(refresh=1), "variable phase is not asked again"),
    "unknown variable": (
        lambda it: target(it).update(expr='sum by (workload) (restarts:rate{workload="$state"})'),
        "panel 'Restarts' A: there is no variable state",
    ),
    "two of one id": (lambda it: lines(it).update(id=1), "two panels have one id"),
    "place": (lambda it: panel(it)["gridPos"].update(x=16), "panel 'Restarts' is wider than the page"),
    "metric": (
        lambda it: target(it).update(expr="sum by (workload) (rate(restart_total[$__rate_interval]))"),
        "panel 'Restarts' A: nobody exports restart_total",
    ),
    "counter": (
        lambda it: target(it).update(expr="sum by (workload) (restarts_total)"),
        "panel 'Restarts' A: restarts_total is a counter",
    ),
    "rate over": (
        lambda it: target(it).update(expr="sum by (workload) (rate(restarts_total[5m]))"),
        "panel 'Restarts' A: rate and irate over time are for $__rate_interval",
    ),
    "rate of a moment": (
        lambda it: target(it).update(expr="sum by (workload) (rate(restarts_total[1m]))", instant=True),
        "panel 'Restarts' A: a window that may hold no two scrapes",
    ),
    "legend": (
        lambda it: target(it).update(legendFormat="{{phase}}"),
        "panel 'Restarts' A: the result has no label phase",
    ),
    "link": (
        lambda it: panel(it)["fieldConfig"]["defaults"]["links"].append({"url": "${__field.labels.phase}"}),
        "panel 'Restarts': a link: no series has the label phase",
    ),
    "variable's metric": (
        lambda it: variable(it, "phase")["query"].update(query="label_values(pod, phase)"),
        "variable phase: nobody exports pod",
    ),
    "variable's label": (
        lambda it: variable(it, "phase")["query"].update(query="label_values(pods, state)"),
        "variable phase: the result has no label state",
    ),
    "stream's label": (
        lambda it: lines(it)["targets"][0].update(expr='{app=~".+"}'),
        "panel 'Lines' A: no stream has the label app",
    ),
    "column that is renamed": (
        lambda it: organized(it)["renameByName"].update({"Value #C": "More"}),
        "panel 'Worst': there is no column Value #C",
    ),
    "column that has a place": (
        lambda it: organized(it)["indexByName"].update(namespace=1),
        "panel 'Worst': there is no column namespace",
    ),
    "column that is sorted by": (
        lambda it: table(it)["transformations"][1]["options"]["sort"][0].update(field="Value #A"),
        "panel 'Worst': it is sorted by Value #A, which is no column",
    ),
    "column that is coloured": (
        lambda it: table(it)["fieldConfig"]["overrides"][0]["matcher"].update(options="Pod"),
        "panel 'Worst': an override is for Pod, which is no column",
    ),
    "column that is linked": (
        lambda it: table(it)["fieldConfig"]["defaults"].update(links=[{"url": "/x?pod=${__data.fields.pod}"}]),
        "panel 'Worst': a link asks for pod, which is no column",
    ),
    "annotation": (
        lambda it: it["annotations"]["list"][1].update(expr='{stream="change"} | logfmt | word!=""'),
        "annotation changes: a filter: nothing gives word",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_dashboard_that_is_spoiled_in_one_place_has_that_fault(what: str) -> None:
    spoil, said = SPOILED[what]
    body = copy.deepcopy(good())
    spoil(body)

    faults = faults_of(body)

    assert len(faults) == 1, faults
    assert faults[0].startswith(f"good: {said}")


RULES = {
    "expr": ({"alert": "A", "expr": "pod > 0"}, "A: nobody exports pod"),
    "annotation": (
        {"alert": "A", "expr": "sum(pods) > 0", "annotations": {"summary": "In {{ $labels.namespace }}."}},
        "A: summary: the result has no label namespace",
    ),
    "label": (
        {"alert": "A", "expr": "sum(pods) > 0", "labels": {"team": "{{ .Labels.phase }}"}},
        "A: team: the result has no label phase",
    ),
    "record": (
        {"record": "a:b:c", "expr": "sum by (phase) (restarts_total)"},
        "a:b:c: sum by: there is no label phase",
    ),
}


@pytest.mark.parametrize("what", RULES)
def test_a_fault_of_a_rule_is_told(what: str) -> None:
    rule, said = RULES[what]

    assert said in contract.faults_of_rule(rule, KNOWN)


def test_what_a_record_makes_is_known_with_its_labels() -> None:
    records = [
        {"record": "phase:pods:sum", "expr": "sum by (phase) (pods)", "labels": {"by": "us"}},
        {"record": "all:pods:sum", "expr": "sum by (by) (phase:pods:sum)"},
    ]
    known = contract.with_records(KNOWN, records)

    assert known.labels["phase:pods:sum"] == {"phase", "by"}
    assert known.labels["all:pods:sum"] == {"by"}
    right = {"alert": "A", "expr": 'phase:pods:sum{by="us"} > 1', "annotations": {"summary": "{{ $labels.phase }}"}}
    assert contract.faults_of_rule(right, known) == []


def test_variables_are_known_in_each_of_their_forms() -> None:
    text = 'a{b=~"$b", c=~"${c:regex}", d="[[d]]"}[$__range] ${__from} ${__field.labels.x}'

    assert variables_in(text) == {"b", "c", "d", "__range"}
    assert substituted(text, {"b": "1", "c": "2", "d": "3"}) == (
        'a{b=~"1", c=~"2", d="3"}[$__range] ${__from} ${__field.labels.x}'
    )
