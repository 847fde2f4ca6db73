"""
The chart, rendered by Helm's own engine without a cluster.

Not the plain manifests: see scripts/manifests.py.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
from helm_python import _native

CHART = Path(__file__).parents[1] / "charts/kubescribe"
NOTES = "NOTES.txt"


def rendered(
    values: Mapping[str, Any] | None = None,
    *,
    name: str = "kubescribe",
    namespace: str = "kubescribe",
    apis: Sequence[str] = (),
    chart: Path = CHART,
) -> dict[str, str]:
    """
    Return what an installation would apply, by the path of its template (`aggregator/service.yaml`), and its NOTES.txt.

    Templates that say nothing are left out. *apis* are what a cluster has besides Kubernetes' own, as `--api-versions`
    of `helm template`. Raises HelmValuesError for what the schema refuses, HelmRenderError for what a guard refuses;
    both messages are those that an operator reads.
    """
    options = {"name": name, "namespace": namespace, "api_versions": list(apis)}
    # The library's own method has no word for the APIs, what lies below it does.
    handle = _chart(chart)._raw()  # noqa: SLF001
    answer = _native.call_string("helm_render", handle, json.dumps(dict(values or {})), json.dumps(options))
    files: dict[str, str] = json.loads(answer)
    prefix = "kubescribe/templates/"
    return {path.removeprefix(prefix): text for path, text in sorted(files.items()) if text.strip()}


@cache
def _chart(folder: Path) -> helm_python.Chart:
    return helm_python.Chart.load(folder)
