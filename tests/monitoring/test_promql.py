"""The checker of PromQL finds what it is for: each deliberate fault is told, and what is right is not."""

from datetime import timedelta

import pytest

from tests.monitoring.promql import OPTIONAL, TARGET_LABELS, Vocabulary, judged

KNOWN = Vocabulary(
    labels={
        "oom_total": TARGET_LABELS | {"workload", "reason"},
        "memory": TARGET_LABELS | {"node"},
        "limits": TARGET_LABELS | {"node", "resource"},
        "nodes": TARGET_LABELS | {"node", "zone"},
        "lag_bucket": TARGET_LABELS | {"le"},
        "job:oom:rate5m": frozenset({"namespace", "workload"}),
    },
    counters=frozenset({"oom_total", "lag_bucket"}),
    gauges=frozenset({"memory", "limits", "nodes"}),
)

FAULTS = {
    "a name": ("sum(rate(ooms_total[5m]))", "nobody exports ooms_total"),
    "a name by its pattern": ('{__name__=~"memories.*"}', "nobody exports memories.*"),
    "a name in a union": ("memory or memories", "nobody exports memories"),
    "a name in a subquery": ("max_over_time(memories[1h:1m])", "nobody exports memories"),
    "a name below absent": ("absent(memories)", "nobody exports memories"),
    "a matcher": ('memory{workload="web"}', "memory has no label workload"),
    "a matcher in a range": ('rate(oom_total{node="a"}[5m])', "oom_total has no label node"),
    "by": ("sum by (node) (rate(oom_total[5m]))", "sum by: there is no label node"),
    "by, of what a sum left": ("max by (zone) (sum by (node) (nodes))", "max by: there is no label zone"),
    "without": ("sum without (zone) (memory)", "sum without: there is no label zone"),
    "on, left": ("memory * on (zone) nodes", "on, left of *: there is no label zone"),
    "on, right": ("nodes * on (zone) memory", "on, right of *: there is no label zone"),
    "ignoring": ("memory / ignoring (workload) memory", "ignoring: there is no label workload"),
    "group_left": ("memory * on (node) group_left (team) nodes", "group_left: there is no label team"),
    "group_right": ("nodes * on (node) group_right (team) memory", "group_right: there is no label team"),
    "label_replace": ('label_replace(memory, "x", "$1", "zone", "(.*)")', "label_replace: there is no label zone"),
    "label_join": ('label_join(memory, "x", "/", "node", "zone")', "label_join: there is no label zone"),
    "a quantile of what is no histogram": (
        "histogram_quantile(0.9, sum by (job) (rate(lag_bucket[5m])))",
        "histogram_quantile: there is no label le",
    ),
    "sides that never match": ("memory / limits", "the sides of / never match: one alone has resource"),
    "sums that never match": (
        "sum by (node) (memory) / sum by (pod) (memory)",
        "the sides of / never match: one alone has node, pod",
    ),
    "a cluster that need not be": ('memory{cluster="a"}', 'memory: cluster="a" wants a label that need not be there'),
    "a counter's value": ("sum(oom_total)", "oom_total is a counter and is asked for its value, not its rate"),
    "a gauge's rate": ("rate(memory[5m])", "memory is a gauge and is asked for its rate"),
    "nonsense": ("sum(", "does not parse"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(fault: str) -> None:
    expr, said = FAULTS[fault]

    problems = judged(expr, KNOWN).problems

    assert len(problems) == 1, problems
    assert problems[0].startswith(said)


RIGHT = {
    'sum by (namespace, reason) (increase(oom_total{cluster=~".*", reason!=""}[1h]))': {"namespace", "reason"},
    "sum(rate(oom_total[5m])) or vector(0)": set(),
    "topk(3, memory) > 5": TARGET_LABELS | OPTIONAL | {"node"},
    "memory * on (node) group_left (zone) nodes": TARGET_LABELS | OPTIONAL | {"node", "zone"},
    "sum by (node) (memory) / on (node) sum by (node, zone) (nodes)": {"node"},
    'memory / ignoring (resource) limits{resource="memory"}': TARGET_LABELS | OPTIONAL | {"node"},
    'label_replace(sum(memory), "what", "all", "", "")': {"what"},
    "histogram_quantile(0.99, sum by (le, job) (rate(lag_bucket[5m])))": {"job"},
    'absent(memory{job="a", pod=~"b"})': {"job"},
    "count by (reason) (oom_total)": {"reason"},
    "sum by (workload) (job:oom:rate5m)": {"workload"},
    'count_values("version", memory)': {"version"},
    "-memory + 1 - time()": TARGET_LABELS | OPTIONAL | {"node"},
    "nodes unless on (node) memory": TARGET_LABELS | OPTIONAL | {"node", "zone"},
}


@pytest.mark.parametrize("expr", RIGHT)
def test_what_is_right_is_not_told_and_its_labels_are_known(expr: str) -> None:
    found = judged(expr, KNOWN)

    assert found.problems == ()
    assert found.labels == RIGHT[expr]


def test_the_ranges_of_rates_are_known() -> None:
    found = judged("rate(oom_total[4m57s]) + irate(oom_total[5m]) + increase(oom_total[1h])", KNOWN)

    assert found.rate_ranges == (timedelta(seconds=297), timedelta(seconds=300))
