"""
Tables of the worst: one row a thing, one column a question, the rows that matter first.

A column is a query that answers by the same labels as its neighbours; Grafana merges them into rows.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from dashboards.panels import GOOD, Step, thresholds
from dashboards.queries import PROMETHEUS, rows

_LETTERS = "ABCDEFGHIJ"


class Column(NamedTuple):
    """One question to each row."""

    name: str
    expression: str
    unit: str = "short"
    decimals: int = 0
    steps: Sequence[Step] = ()
    """Colours the text; none: no colour."""
    is_bar: bool = False
    """Drawn as a bar from 0 to 1 behind the number."""


def ranking(
    title: str,
    description: str,
    labels: Sequence[str],
    *columns: Column,
    links: Sequence[DashboardLink] = (),
    most: int = 15,
    span: int = 12,
    height: int = 9,
) -> table.Panel:
    """Return the *most* rows that are highest in the first column; *links* stand on the first label."""
    panel = table.Panel().title(title).description(description).datasource(PROMETHEUS).unit("short").no_value("-")
    panel.height(height).span(span)
    values = [f"Value #{letter}" for letter in _LETTERS[: len(columns)]] if len(columns) > 1 else ["Value"]
    for letter, column in zip(_LETTERS, columns, strict=False):
        panel.with_target(rows(column.expression).ref_id(letter))
    names = [*labels, *values]
    shown = {value: column.name for value, column in zip(values, columns, strict=True)}
    transformations: list[tuple[str, dict[str, Any]]] = [
        ("merge", {}),
        (
            "organize",
            {
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(names)},
                "renameByName": shown,
            },
        ),
        ("sortBy", {"fields": {}, "sort": [{"field": columns[0].name, "desc": True}]}),
        ("limit", {"limitField": most}),
    ]
    for kind, options in transformations:
        panel.with_transformation(DataTransformerConfig(id_val=kind, options=options))
    for name in labels:
        panel.override_by_name(name, [DynamicConfigValue("links", [it.build() for it in links])])
    for column in columns:
        panel.override_by_name(column.name, _looks(column))
    return panel


def _looks(column: Column) -> list[DynamicConfigValue]:
    looks = [DynamicConfigValue("unit", column.unit), DynamicConfigValue("decimals", column.decimals)]
    if column.steps:
        looks.append(
            DynamicConfigValue("thresholds", thresholds(column.steps, GOOD if column.is_bar else "text").build())
        )
    if column.is_bar:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        looks += [DynamicConfigValue("min", 0), DynamicConfigValue("max", 1)]
        looks.append(DynamicConfigValue("custom.cellOptions", cell))
    elif column.steps:
        looks.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return looks
