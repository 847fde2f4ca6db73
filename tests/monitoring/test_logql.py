"""The checker of LogQL finds what it is for, and the names it knows are those that the running product gives."""

import pytest

from tests.monitoring.logql import LOGFMT, METADATA, STREAM_LABELS, judged

FAULTS = {
    "a stream label": ('{app="web"}', "no stream has the label app"),
    "metadata as a stream label": ('{namespace="shop", pod="web-0"}', "no stream has the label pod"),
    "a filter": ('{namespace="shop"} | levle="error"', "a filter: nothing gives levle"),
    "a second filter": ('{namespace="shop"} | pod="a" and nod=~"b"', "a filter: nothing gives nod"),
    "by": ('sum by (app) (rate({namespace="shop"}[5m]))', "by: nothing gives app"),
    "by, at the end": ('sum(rate({namespace="shop"} |= "x"[5m])) by (app)', "by: nothing gives app"),
    "unwrap": ('sum_over_time({stream="change"} | unwrap bytes(size)[5m])', "unwrap: nothing gives size"),
    "line_format": (
        '{stream="change"} | logfmt | line_format "{{.verb}} {{.nmae}}"',
        "line_format: nothing gives nmae",
    ),
    "label_format": ('{stream="change"} | label_format who=whom', "label_format: nothing gives whom"),
    "a field of our own lines": ('{stream="event"} | logfmt | colour="red"', "a filter: nothing gives colour"),
    "a field of no parser": ('{namespace="shop"} | level="error"', "a filter: nothing gives level"),
    "all streams": ('{cluster=~".*"}', "a selector may match all streams, which Loki refuses"),
    "a stage": ('{namespace="shop"} | jsno', "no such stage: jsno"),
    "no selector": ("sum(rate(x[5m]))", "there is no stream selector"),
    "nonsense": ('{namespace="shop} ~', "does not parse"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(fault: str) -> None:
    query, said = FAULTS[fault]

    problems = judged(query).problems

    assert len(problems) == 1, problems
    assert problems[0].startswith(said)


EVERYTHING = STREAM_LABELS | METADATA
RIGHT = {
    '{cluster=~".*", namespace="shop", stream=~"stdout|stderr"} |~ "(?i)err|pan{2}ic" != "x"': EVERYTHING,
    'sum by (detected_level) (count_over_time({namespace=~"a|b", stream!=""} | detected_level!="" [1m]))': {
        "detected_level"
    },
    'topk(5, sum by (namespace, workload) (rate({namespace=~".+"} [5m])))': {"namespace", "workload"},
    'sum(count_over_time({namespace=~".+"} | json | user_id="7" [5m])) by (pod)': {"pod"},
    'sum(count_over_time({namespace=~".+"}[5m]))': set(),
    '{stream=~"event|change"} | logfmt | level="warn" or verb=`created` | line_format "{{.kind}}"': EVERYTHING | LOGFMT,
    '{namespace="a"} | pattern `<ip> - <method>` | method="GET" | keep pod, method': EVERYTHING | {"ip", "method"},
    '{stream="change"} | label_format who=manager, what="{{.verb}}" | who!=""': EVERYTHING | {"who", "what"},
}


@pytest.mark.parametrize("query", RIGHT)
def test_what_is_right_is_not_told_and_its_labels_are_known(query: str) -> None:
    found = judged(query)

    assert found.problems == ()
    assert found.labels == RIGHT[query]
