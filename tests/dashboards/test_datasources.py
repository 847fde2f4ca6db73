"""The example of datasources makes what lines carry clickable."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.frame import DEFAULT_URL

EXAMPLE = Path(__file__).parents[2] / "docs/dashboards/datasources.yaml"


def derived() -> dict[str, dict[str, Any]]:
    sources = {it["type"]: it for it in yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["datasources"]}
    return {it["name"]: it for it in sources["loki"]["jsonData"]["derivedFields"]}


@pytest.mark.parametrize(
    "line",
    [
        "level=info trace_id=5b8e241e59ab9ef82eec7db8b9095204 status=200",
        '{"level":"error","traceId":"5b8e241e59ab9ef82eec7db8b9095204"}',
        '{"trace_id": "5b8e241e59ab9ef82eec7db8b9095204"}',
        "GET /orders TraceID: 5b8e241e59ab9ef82eec7db8b9095204",
    ],
    ids=["logfmt", "json", "json-snake", "text"],
)
def test_a_trace_id_is_found_as_programs_write_it(line: str) -> None:
    found = re.search(derived()["trace_id"]["matcherRegex"], line)

    assert found is not None
    assert found[1] == "5b8e241e59ab9ef82eec7db8b9095204"


def test_a_pod_uid_leads_to_the_pod_alive_or_dead() -> None:
    fields = derived()

    assert fields["pod_uid"]["url"] == DEFAULT_URL + "/?uid=$${__value.raw}", "Grafana's own dollar is doubled"
    assert fields["pod_object"]["url"] == DEFAULT_URL + "/api/v1/objects/$${__value.raw}"
    assert {fields[name]["matcherType"] for name in ("pod_uid", "pod_object")} == {"label"}
