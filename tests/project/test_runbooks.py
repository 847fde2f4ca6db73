"""What a runbook has somebody type at three in the morning is there: metrics, labels, settings, log entries."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.web.routes import ROUTES
from kubescribe.cli.roles import ROLES
from kubescribe.runtime.settings import table

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted(path.name for path in (ROOT / "docs/runbooks").glob("*.md"))
OF_THE_TARGET = {"job", "instance", "pod", "namespace", "node", "cluster", "le"}
"""Labels that a scrape, or a histogram, adds."""


@cache
def text(name: str) -> str:
    return (ROOT / "docs/runbooks" / name).read_text(encoding="utf-8")


@cache
def families() -> dict[str, set[str]]:
    """The labels of each family, as docs/metrics.md tells them."""
    rows = re.findall(
        r"^\| `(kubescribe_\w+)` \| (\w+) \| ([^|]*)\|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    found: dict[str, set[str]] = {}
    for name, kind, labels in rows:
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            found.setdefault(name + suffix, set()).update(re.findall(r"`(\w+)`", labels))
    return found


def paths(values: dict[str, Any], before: str = "") -> set[str]:
    """Every `a.b.c` of the chart's values."""
    found = {f"{before}{key}" for key in values}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= paths(value, f"{before}{key}.")
    return found


@cache
def words() -> set[str]:
    """What a dotted word may be: a setting, a value of the chart, a setting below one, an entry of our logs."""
    settings = {row.key for role in ROLES.values() for row in table(role.settings)}
    values = paths(yaml.safe_load((ROOT / "charts/kubescribe/values.yaml").read_text(encoding="utf-8")))
    below = {f"{part}.settings.{key}" for part in ("aggregator", "clusterAgent", "nodeAgent") for key in settings}
    return settings | values | below | entries()


@cache
def entries() -> set[str]:
    sources = [path for folder in ("agent", "aggregator", "kubescribe") for path in (ROOT / folder).rglob("*.py")]
    return {entry for path in sources for entry in re.findall(r'"([a-z]+(?:[._][a-z_]+)+)"', path.read_text("utf-8"))}


@pytest.mark.parametrize("name", RUNBOOKS)
def test_its_metrics_are_exported_and_have_the_labels_that_it_asks_for(name: str) -> None:
    for metric, selector in re.findall(r"\b(kubescribe_[a-z_]+)(?:\{([^}]*)\})?", text(name)):
        assert metric in families(), metric
        asked = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", selector))
        assert asked <= families()[metric] | OF_THE_TARGET, metric


@pytest.mark.parametrize("name", RUNBOOKS)
def test_its_settings_values_and_log_entries_exist(name: str) -> None:
    named = set(re.findall(r"`([a-z][A-Za-z]*(?:\.[A-Za-z_]+)+)`", text(name)))

    assert named <= words()


@pytest.mark.parametrize("name", RUNBOOKS)
def test_what_it_looks_for_in_a_log_is_written_there(name: str) -> None:
    for line in re.findall(r"ks logs .*\| grep (?:-E )?(.*)", text(name)):
        wanted = re.match(r"'([^']*)'|(\S+)", line.partition("`")[0].strip())
        assert wanted, line
        for part in (wanted[1] or wanted[2]).replace("\\\\", "\\").split("|"):
            assert any(re.search(part, entry) for entry in entries()), part


@pytest.mark.parametrize("name", RUNBOOKS)
def test_it_asks_what_the_api_answers(name: str) -> None:
    routes = {route.path.strip("/"): set(route.parameters.by_name) for route in ROUTES}
    for path, query in re.findall(r"\$api/([a-z/]+)(?:\?([^\s\"]*))?", text(name)):
        assert path in routes, path
        asked = {pair.partition("=")[0] for pair in re.sub(r"\$\([^)]*\)?", "", query).split("&") if pair}
        assert {word for word in asked if word.isalpha()} <= routes[path], query
