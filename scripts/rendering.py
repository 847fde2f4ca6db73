"""
The chart, rendered by Helm's own engine without a cluster.

Not the plain manifests: see scripts/manifests.py.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python

CHART = Path(__file__).parents[1] / "charts/kubescribe"
NOTES = "NOTES.txt"


def rendered(
    values: Mapping[str, Any] | None = None, *, name: str = "kubescribe", namespace: str = "kubescribe"
) -> dict[str, str]:
    """
    Return what an installation would apply, by the path of its template (`aggregator/service.yaml`), and its NOTES.txt.

    Templates that say nothing are left out. Raises HelmValuesError for what the schema refuses, HelmRenderError for
    what a guard refuses; both messages are those that an operator reads.
    """
    files = _chart().render(dict(values or {}), name=name, namespace=namespace)
    prefix = "kubescribe/templates/"
    return {path.removeprefix(prefix): text for path, text in sorted(files.items()) if text.strip()}


@cache
def _chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)
