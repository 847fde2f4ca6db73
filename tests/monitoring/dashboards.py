"""
The rendered dashboards as Grafana reads them: panels, what they ask, variables; and queries as Grafana would send them.

Reads `charts/kubescribe/files/dashboards`, not the code that makes it: what is shipped is what is checked.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

FILES = sorted((Path(__file__).parents[2] / "charts/kubescribe/files/dashboards").glob("*.json"))

RATE_INTERVAL, RANGE = timedelta(minutes=4, seconds=57), timedelta(minutes=59, seconds=59)
"""What nobody would write by hand, so that it is known where `$__rate_interval` and `$__range` stood."""

CHECKED = {
    "__rate_interval": "4m57s",
    "__interval": "1m",
    "__interval_ms": "60000",
    "__range": "59m59s",
    "__range_s": "3599",
    "__range_ms": "3599000",
    "__auto": "1m",
}
"""Grafana's own variables, for a query that is only read."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\[\[(\w+)(?::[^\]]*)?\]\]|\$(\w+)")
_SELF_MADE = re.compile(r"^__(?!rate_interval|interval|range|auto)")

Kind = Literal["prometheus", "loki"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """One query of a panel, of an annotation or of a variable."""

    where: str
    kind: Kind
    expr: str
    legend: str = ""
    label: str = ""
    """Of a variable: the label whose values it asks for."""
    is_instant: bool = False
    """It asks for one number, not for what it was over time."""
    source: str = ""
    """The uid of its datasource."""


@dataclass(frozen=True)
class Dashboard:
    """One file."""

    name: str
    body: Mapping[str, Any]

    def panels(self) -> list[dict[str, Any]]:
        """Return all panels but rows, those in collapsed rows too."""
        found = []
        for panel in self.body.get("panels", []):
            found += panel.get("panels") or []
            if panel["type"] != "row":
                found.append(panel)
        return found

    def variables(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.body.get("templating", {}).get("list", [])
        return found

    def queries(self) -> list[Query]:
        """Return what everything in it asks."""
        of_panels = [query for panel in self.panels() for query in queries_of(panel)]
        return of_panels + self._of_annotations() + self._of_variables()

    def values(self) -> dict[str, str]:
        """Return a value for each variable: all there is for those that are asked for, else the first choice."""
        return {it["name"]: _value(it) for it in self.variables()}

    def _of_annotations(self) -> list[Query]:
        found = []
        for it in self.body.get("annotations", {}).get("list", []):
            source = it.get("datasource", {})
            expr = it.get("expr") or (it.get("target") or {}).get("expr")
            if expr:
                where = f"annotation {it['name']}"
                found.append(Query(where=where, kind=source["type"], expr=expr, source=source["uid"]))
        return found

    def _of_variables(self) -> list[Query]:
        found = []
        for it in (it for it in self.variables() if it["type"] == "query"):
            source, asked = it["datasource"], it["query"]
            where = f"variable {it['name']}"
            if source["type"] == "loki" and isinstance(asked, dict):
                expr, label = asked.get("stream") or '{stream=~".+"}', asked["label"]
            else:
                expr, label = _label_values(asked["query"] if isinstance(asked, dict) else asked)
            found.append(Query(where=where, kind=source["type"], expr=expr, label=label, source=source["uid"]))
        return found


def read(path: Path) -> Dashboard:
    return Dashboard(path.stem, json.loads(path.read_text()))


def queries_of(panel: Mapping[str, Any]) -> list[Query]:
    """Return what a panel asks."""
    found = []
    for target in panel.get("targets", []):
        source = target.get("datasource") or panel.get("datasource") or {}
        where = f"panel {panel.get('title')!r} {target.get('refId', '')}".strip()
        legend = target.get("legendFormat") or ""
        kind = source.get("type", "prometheus")
        found.append(
            Query(
                where=where,
                kind=kind,
                expr=target["expr"],
                legend=legend,
                is_instant=target.get("instant", False) and not target.get("range", False),
                source=source.get("uid", ""),
            )
        )
    return found


def variables_in(text: str) -> set[str]:
    """Return the variables that a text names, without those that Grafana makes for links."""
    names = {first or second or third for first, second, third in _VARIABLE.findall(text)}
    return {name for name in names if not _SELF_MADE.match(name)}


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; one that has none stays."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2] or found[3], found[0]), text)


def _value(variable: Mapping[str, Any]) -> str:
    if variable["type"] == "query":
        return str(variable.get("allValue") or ".*")
    current = (variable.get("current") or {}).get("value")
    if isinstance(current, list):
        current = "|".join(current)
    if current in {None, "", "$__all", "default"}:
        choices: Iterable[str] = (
            re.split(r"\s*,\s*", variable["query"]) if isinstance(variable.get("query"), str) else ()
        )
        current = variable.get("allValue") or next(iter(choices), "") or ".*"
    return str(current)


def _label_values(text: str) -> tuple[str, str]:
    """Return expression and label of `label_values(expr, label)` or `query_result(expr)`."""
    if found := re.fullmatch(r"\s*label_values\((.*),\s*(\w+)\s*\)\s*", text, re.DOTALL):
        return found[1], found[2]
    if found := re.fullmatch(r"\s*query_result\((.*)\)\s*", text, re.DOTALL):
        return found[1], ""
    raise AssertionError(f"what does this variable ask: {text}")
