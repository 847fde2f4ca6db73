"""
What the APIs of Prometheus' and Grafana's operators take, as strict schemas of the parts that the chart makes.

Kubernetes' own are in a package (test_validity.py). An API server drops fields that it does not know without a word, so
that a misspelt `honorLabels` would show as wrong labels weeks later. Fields and patterns: those of operator 0.93.
"""

from typing import Any

DURATION = {
    "type": "string",
    "pattern": r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
STRING: dict[str, Any] = {"type": "string"}
STRINGS = {"type": "object", "additionalProperties": STRING}
SELECTOR = {"type": "object", "additionalProperties": False, "properties": {"matchLabels": STRINGS}}


def exactly(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def several(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


RELABELING = exactly(
    [],
    action={
        "enum": ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"]
    },
    modulus={"type": "integer"},
    regex=STRING,
    replacement=STRING,
    separator=STRING,
    sourceLabels=several(STRING),
    targetLabel=STRING,
)
ENDPOINT = exactly(
    ["port"],
    port=STRING,
    path=STRING,
    honorLabels={"type": "boolean"},
    interval=DURATION,
    scrapeTimeout=DURATION,
    relabelings=several(RELABELING),
    metricRelabelings=several(RELABELING),
)
RULE = exactly(
    ["expr"],
    alert=STRING,
    record=STRING,
    expr=STRING,
    labels=STRINGS,
    annotations=STRINGS,
    **{"for": DURATION, "keep_firing_for": DURATION},
)
GROUP = exactly(
    ["name"], name=STRING, interval=DURATION, limit={"type": "integer"}, labels=STRINGS, rules=several(RULE)
)
SPECS = {
    "ServiceMonitor": exactly(
        ["endpoints", "selector"], selector=SELECTOR, jobLabel=STRING, endpoints=several(ENDPOINT)
    ),
    "PodMonitor": exactly(["selector"], selector=SELECTOR, jobLabel=STRING, podMetricsEndpoints=several(ENDPOINT)),
    "PrometheusRule": exactly([], groups=several(GROUP)),
    "GrafanaDashboard": exactly(
        ["instanceSelector"],
        instanceSelector={"type": "object"},
        allowCrossNamespaceImport={"type": "boolean"},
        folder=STRING,
        configMapRef=exactly(["name", "key"], name=STRING, key=STRING),
    ),
}
VERSIONS = dict.fromkeys(SPECS, "monitoring.coreos.com/v1") | {"GrafanaDashboard": "grafana.integreatly.org/v1beta1"}
METADATA = exactly(["name", "namespace", "labels"], name=STRING, namespace=STRING, labels=STRINGS, annotations=STRINGS)


def schema(kind: str) -> dict[str, Any]:
    """Return the strict schema of an object of one of the kinds of SPECS."""
    return exactly(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": VERSIONS[kind]},
        kind={"const": kind},
        metadata=METADATA,
        spec=SPECS[kind],
    )
