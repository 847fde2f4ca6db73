"""What makes a dashboard portable and readable, after dashboard-linter's rules: one function a rule, faults as text."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.monitoring.dashboards import CHECKED, Dashboard, variables_in

Fault = Iterator[str]

SCHEMA_VERSION = 39
ON_TIME_CHANGE = 2
WITHOUT_UNIT = {"logs", "text", "dashlist", "news", "annolist"}
BUILT_IN = {"grafana", "datasource"}
"""Datasources of Grafana itself: its own annotations."""


def faults(dashboard: Dashboard) -> list[str]:
    return [f"{dashboard.name}: {fault}" for rule in RULES for fault in rule(dashboard)]


def identity(dashboard: Dashboard) -> Fault:
    body = dashboard.body
    if body.get("uid") != dashboard.name:
        yield f"its uid is {body.get('uid')}"
    if body.get("id") is not None:
        yield "an id belongs to one Grafana"
    if body.get("schemaVersion") != SCHEMA_VERSION:
        yield f"schemaVersion {body.get('schemaVersion')}"
    if body.get("editable") is not False:
        yield "it is editable"
    if not body.get("title") or not body.get("description"):
        yield "it needs a title and a description"


def words(dashboard: Dashboard) -> Fault:
    for panel in dashboard.panels():
        title = panel.get("title")
        if not title:
            yield f"panel {panel.get('id')} has no title"
        if not panel.get("description"):
            yield f"panel {title!r} has no description"
        if panel["type"] not in WITHOUT_UNIT and not _has_unit(panel.get("fieldConfig", {})):
            yield f"panel {title!r} has no unit"


def sources(dashboard: Dashboard) -> Fault:
    offered = {f"${{{it['name']}}}": it["query"] for it in dashboard.variables() if it["type"] == "datasource"}
    asking = [(f"panel {it.get('title')!r}", it.get("datasource")) for it in dashboard.panels() if it["type"] != "text"]
    asking += [
        (f"panel {panel.get('title')!r} {target.get('refId')}", target.get("datasource") or panel.get("datasource"))
        for panel in dashboard.panels()
        for target in panel.get("targets", [])
    ]
    asking += [
        (f"variable {it['name']}", it.get("datasource")) for it in dashboard.variables() if it["type"] == "query"
    ]
    notes = dashboard.body.get("annotations", {}).get("list", [])
    asking += [(f"annotation {it['name']}", it.get("datasource")) for it in notes]
    for who, source in ((who, source or {}) for who, source in asking):
        if source.get("type") not in BUILT_IN and offered.get(source.get("uid", "")) != source.get("type"):
            yield f"{who}: its datasource is no variable"


def variables(dashboard: Dashboard) -> Fault:
    for it in dashboard.variables():
        if it["type"] == "query" and it.get("refresh") != ON_TIME_CHANGE:
            yield f"variable {it['name']} is not asked again when the time changes"
    known = {it["name"] for it in dashboard.variables()} | set(CHECKED)
    for query in dashboard.queries():
        for name in sorted(variables_in(query.expr) - known):
            yield f"{query.where}: there is no variable {name}"
    for panel in dashboard.panels():
        for name in sorted(variables_in(panel.get("title") or "") - known):
            yield f"panel {panel['title']!r}: there is no variable {name}"


def places(dashboard: Dashboard) -> Fault:
    ids = [panel["id"] for panel in dashboard.panels() if panel.get("id") is not None]
    if len(ids) != len(set(ids)):
        yield "two panels have one id"
    for panel in dashboard.panels():
        where = panel.get("gridPos") or {}
        if where.get("x", 0) + where.get("w", 0) > 24:
            yield f"panel {panel.get('title')!r} is wider than the page"


RULES: tuple[Callable[[Dashboard], Fault], ...] = (identity, words, sources, variables, places)


def _has_unit(config: dict[str, Any]) -> bool:
    overridden = [it["id"] for override in config.get("overrides", []) for it in override["properties"]]
    return bool(config.get("defaults", {}).get("unit")) or "unit" in overridden
