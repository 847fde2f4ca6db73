"""
The files are what Grafana's own types say: its required fields are there, and nothing that it does not know.

A reduced reading of `@grafana/schema` 13.2.3 (npm; `Dashboard`, `Panel`, `VariableModel`, and `Options` of each panel's
`panelcfg`), against which the files were compiled whole: a Grafana that reads them cannot be had here.
"""

from typing import Any

from tests.dashboards.conftest import Board

DASHBOARD = {
    *("annotations", "description", "editable", "fiscalYearStartMonth", "graphTooltip", "links", "panels", "refresh"),
    *("schemaVersion", "tags", "templating", "time", "timepicker", "timezone", "title", "uid", "version", "weekStart"),
}
PANEL = {
    *("datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "maxDataPoints", "options"),
    *("repeat", "repeatDirection", "targets", "title", "transformations", "transparent", "type"),
}
VARIABLE = {
    *("allValue", "allowCustomValue", "current", "datasource", "description", "hide", "includeAll", "label", "multi"),
    *("name", "options", "query", "refresh", "regex", "skipUrlSync", "sort", "type"),
    "definition",  # Grafana writes it itself: the query as text, shown in its list of variables
}
_SINGLE = {"orientation", "reduceOptions"}
REQUIRED: dict[str, set[str]] = {
    "bargauge": {
        *_SINGLE,
        *("displayMode", "legend", "maxVizHeight", "minVizHeight", "minVizWidth", "namePlacement"),
        *("showUnfilled", "sizing", "valueMode"),
    },
    "logs": {
        *("dedupStrategy", "enableLogDetails", "prettifyLogMessage", "showCommonLabels", "showLabels"),
        *("showLogContextToggle", "showTime", "sortOrder", "wrapLogMessage"),
    },
    "stat": {
        *_SINGLE,
        *("colorMode", "graphMode", "justifyMode", "percentChangeColorMode", "showPercentChange"),
        *("textMode", "wideLayout"),
    },
    "state-timeline": {"legend", "rowHeight", "showValue", "tooltip"},
    "table": {"frameIndex", "showHeader"},
    "timeseries": {"legend", "tooltip"},
}
OPTIONAL = {
    "state-timeline": {"alignValue", "mergeValues", "perPage"},
    "table": {"cellHeight", "showTypeIcons", "sortBy"},
}
CHOICES = {
    "colorMode": {"value", "background", "background_solid", "none"},
    "graphMode": {"none", "line", "area"},
    "textMode": {"auto", "value", "value_and_name", "name", "none"},
    "displayMode": {"basic", "lcd", "gradient"},
    "orientation": {"auto", "vertical", "horizontal"},
    "sortOrder": {"Descending", "Ascending"},
    "showValue": {"auto", "never", "always"},
    "cellHeight": {"sm", "md", "lg", "auto"},
}


def panels_and_rows(boards: list[Board]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{board['uid']}: {panel['title']}", panel) for board in boards for panel in board["panels"]]


def test_a_dashboard_and_its_variables_have_fields_that_grafana_knows(boards: list[Board]) -> None:
    for board in boards:
        assert set(board) - DASHBOARD == set(), board["uid"]
        for variable in board["templating"]["list"]:
            assert {"name", "type"} <= set(variable) <= VARIABLE, (board["uid"], variable["name"])


def test_a_panel_has_the_options_of_its_type_and_no_others(boards: list[Board]) -> None:
    for where, panel in panels_and_rows(boards):
        if panel["type"] != "row":
            kind, options = panel["type"], panel["options"]
            assert set(panel) - PANEL == set(), where
            assert REQUIRED[kind] <= set(options) <= REQUIRED[kind] | OPTIONAL.get(kind, set()), where
            for name in options.keys() & CHOICES.keys():
                assert options[name] in CHOICES[name], (where, name)


def test_a_row_a_table_and_a_mapping_are_complete(boards: list[Board]) -> None:
    for where, panel in panels_and_rows(boards):
        if panel["type"] == "row":
            assert {"collapsed", "id", "panels", "type"} <= set(panel), where
            continue
        defaults = panel["fieldConfig"]["defaults"]
        assert "overrides" in panel["fieldConfig"], where
        if panel["type"] == "table":
            assert {"align", "cellOptions", "inspect"} <= set(defaults["custom"]), where
        for mapping in defaults.get("mappings", []):
            if mapping["type"] == "range":
                assert {"from", "to", "result"} == set(mapping["options"]), where
            if mapping["type"] == "special":
                assert mapping["options"]["match"] in {"true", "false", "null", "nan", "null+nan", "empty"}, where


def test_a_legend_that_is_said_is_shown(boards: list[Board]) -> None:
    for where, panel in panels_and_rows(boards):
        if panel["type"] in {"timeseries", "state-timeline"}:
            assert panel["options"]["legend"]["showLegend"] is True, where
