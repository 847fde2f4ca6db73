"""Panels without a time axis: numbers, tables, bars against a limit, lines."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dashboards.pictures.answers import Line, Series
from dashboards.pictures.canvas import EDGE, FAINT, GRID, TEXT, Box, Canvas, colour, fitted
from dashboards.pictures.graphs import Named, Panel
from dashboards.pictures.units import worded

_ROW = 22
_LEVELS = {
    "fatal": "dark-red",
    "critical": "dark-red",
    "error": "red",
    "warn": "orange",
    "warning": "orange",
    "debug": "blue",
}


def number(canvas: Canvas, box: Box, panel: Panel, found: Sequence[Named]) -> None:
    """Draw one number in the colour of its threshold."""
    defaults, options = panel["fieldConfig"]["defaults"], panel["options"]
    points = found[0][1].points if found else []
    known = [value for _, value in points if not math.isnan(value)]
    words, ink = _said_of(defaults, known[-1] if known else None)
    is_ground = options["colorMode"] == "background"
    if is_ground:
        canvas.panel(box, ink)
    canvas.text(
        box.x + 10,
        box.y + 17,
        panel["title"],
        size=12.5,
        is_bold=True,
        ink="#ffffff" if is_ground else TEXT,
        room=box.width,
    )
    if options["graphMode"] == "area" and len(known) > 1:
        axes = canvas.axes(box.within(1, box.height * 0.55, 1, 1))
        axes.axis("off")
        axes.patch.set_alpha(0)
        pen = "#ffffff" if is_ground else colour(ink)
        axes.fill_between(range(len(known)), known, color=pen, alpha=0.25, linewidth=0)
        axes.plot(range(len(known)), known, color=pen, alpha=0.8, linewidth=1)
        axes.set_ylim(0, max(known) * 1.1 or 1)
        axes.set_xlim(0, len(known) - 1)
    size = 34 if len(words) < 7 else 26 if len(words) < 10 else 20
    middle = box.y + box.height * 0.62
    canvas.text(box.x + box.width / 2, middle, words, size=size, ink="#ffffff" if is_ground else ink, align="center")


def _said_of(config: Mapping[str, Any], value: float | None) -> tuple[str, str]:
    """Return the text and the colour of *value*: those that a mapping gives it, else its own."""
    for mapping in config["mappings"]:
        options = mapping["options"]
        match mapping["type"]:
            case "special" if value is None:
                return options["result"]["text"], options["result"]["color"]
            case "value" if value is not None and f"{value:g}" in options:
                return options[f"{value:g}"]["text"], options[f"{value:g}"]["color"]
            case "range" if value is not None and value >= options["from"]:
                return options["result"]["text"], options["result"]["color"]
    if value is None:
        return config["noValue"], FAINT
    return worded(value, config["unit"], config.get("decimals")), threshold(config, value)


def threshold(config: Mapping[str, Any], value: float) -> str:
    """Return the colour of *value* by the thresholds of *config*."""
    name = "text"
    for step in config["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            name = step["color"]
    return name


def table(canvas: Canvas, box: Box, panel: Panel, answers: Sequence[Sequence[Series]]) -> None:
    """Draw the rows that the panel's transformations would make of the answers."""
    rows, columns = merged(panel, answers)
    looks = {
        override["matcher"]["options"]: {it["id"]: it["value"] for it in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    widths = _widths(columns, rows, box.width - 16, looks)
    y = box.y + 46
    x = box.x + 8
    for column, width in zip(columns, widths, strict=True):
        is_number = "unit" in looks.get(column, {})
        canvas.text(
            x + (width - 8 if is_number else 4),
            y,
            column,
            size=11.5,
            ink="#6e9fff",
            is_bold=True,
            align="right" if is_number else "left",
            room=width - 4,
        )
        x += width
    room = int((box.y + box.height - y - 16) / _ROW)
    for index, row in enumerate(rows[:room]):
        top = y + 13 + index * _ROW
        canvas.rectangle(Box(box.x + 8, top, box.width - 16, 1), GRID)
        x = box.x + 8
        for column, width in zip(columns, widths, strict=True):
            missing = None if "unit" in looks.get(column, {}) else ""
            _cell(canvas, Box(x, top, width, _ROW), row.get(column, missing), looks.get(column, {}))
            x += width
    if not rows:
        canvas.text(box.x + box.width / 2, box.y + box.height / 2, "no data", ink=FAINT, align="center")
    elif len(rows) > room:
        canvas.text(
            box.x + box.width - 12, box.y + 17, f"{room} of {len(rows)} rows", size=10.5, ink=FAINT, align="right"
        )


Row = dict[str, str | float]


def merged(panel: Panel, answers: Sequence[Sequence[Series]]) -> tuple[list[Row], list[str]]:
    """Return rows and the names of columns, as merge, organize, sortBy and limit make them of the answers."""
    steps = {it["id"]: it["options"] for it in panel["transformations"]}
    organize = steps["organize"]
    rows: dict[tuple[tuple[str, str], ...], Row] = {}
    for target, answer in zip(panel["targets"], answers, strict=True):
        raw = "Value" if len(panel["targets"]) == 1 else f"Value #{target['refId']}"
        name = organize["renameByName"].get(raw, raw)
        for series in answer:
            labels = {it: value for it, value in series.labels.items() if it != "__name__"}
            row = rows.setdefault(tuple(sorted(labels.items())), dict(labels))
            row[name] = series.points[-1][1]
    order = sorted(organize["indexByName"], key=organize["indexByName"].__getitem__)
    columns = [organize["renameByName"].get(name, name) for name in order]
    first = steps["sortBy"]["sort"][0]["field"]
    ranked = sorted(rows.values(), key=lambda row: -float(row.get(first, -math.inf)))
    return ranked[: steps["limit"]["limitField"]], columns


def _widths(
    columns: Sequence[str], rows: Sequence[Row], room: float, looks: Mapping[str, Mapping[str, Any]]
) -> list[float]:
    wanted = []
    for column in columns:
        if "unit" in looks.get(column, {}):
            wanted.append(max(len(column) * 7.2 + 18, 150.0 if "min" in looks[column] else 84.0))
        else:
            wanted.append(max([len(column), *(len(str(row.get(column, ""))) for row in rows)]) * 6.9 + 18)
    return [width * room / sum(wanted) for width in wanted]


def _cell(canvas: Canvas, box: Box, value: str | float | None, looks: Mapping[str, Any]) -> None:
    middle = box.y + box.height / 2
    if value is None:
        canvas.text(box.x + box.width - 8, middle, "-", size=11.5, ink=FAINT, align="right")
    elif isinstance(value, str):
        canvas.text(box.x + 4, middle, value, size=11.5, ink="#6e9fff" if looks.get("links") else TEXT, room=box.width)
    else:
        ink = threshold(looks, value) if "thresholds" in looks else TEXT
        words = worded(value, looks["unit"], looks.get("decimals"))
        if "min" in looks:
            whole = box.within(6, 4, 60, 4)
            canvas.rectangle(whole, EDGE)
            canvas.rectangle(whole._replace(width=whole.width * min(max(value, 0.0), 1.0)), ink)
        canvas.text(box.x + box.width - 8, middle, words, size=11.5, ink=ink, align="right")


def bars(canvas: Canvas, box: Box, panel: Panel, found: Sequence[Named]) -> None:
    """Draw one bar for each series, the longest first."""
    defaults = panel["fieldConfig"]["defaults"]
    ranked = sorted(found, key=lambda it: -it[1].points[-1][1])
    room = box.height - 44
    height = min(28.0, room / max(len(ranked), 1))
    names = min(box.width * 0.42, 210.0)
    for index, (name, series) in enumerate(ranked):
        value = series.points[-1][1]
        y = box.y + 36 + index * height
        ink = threshold(defaults, value)
        whole = Box(box.x + 12 + names, y + 2, box.width - names - 86, height - 5)
        canvas.text(box.x + 6 + names, y + height / 2, fitted(name, names, 11), size=11, align="right")
        canvas.rectangle(whole, EDGE)
        share = min(max(value / (defaults.get("max") or 1), 0.0), 1.0)
        canvas.rectangle(whole._replace(width=whole.width * share), ink)
        words = worded(value, defaults["unit"], defaults.get("decimals"))
        canvas.text(box.x + box.width - 12, y + height / 2, words, size=11.5, ink=ink, align="right")
    if not ranked:
        canvas.text(box.x + box.width / 2, box.y + box.height / 2, "no data", ink=FAINT, align="center")


def said(canvas: Canvas, box: Box, lines: Sequence[Line]) -> None:
    """Draw lines, newest first, each with its time and the colour of its level."""
    height = 17
    room = int((box.height - 42) / height)
    for index, line in enumerate(lines[:room]):
        y = box.y + 42 + index * height
        level = line.labels.get("detected_level", "")
        canvas.rectangle(Box(box.x + 10, y - 6, 3, 13), _LEVELS.get(level, "green" if level == "info" else FAINT))
        at = f"{datetime.fromtimestamp(line.at, UTC):%H:%M:%S}.{int(line.at * 1000 % 1000):03}"
        canvas.text(box.x + 20, y, at, size=11, ink=FAINT, is_code=True)
        whose = line.labels.get("workload") or line.labels.get("namespace", "")
        canvas.text(box.x + 112, y, whose, size=11, ink="#6e9fff", is_code=True, room=110)
        canvas.text(box.x + 230, y, line.text, size=11, is_code=True, room=box.width - 244)
    if not lines:
        canvas.text(box.x + box.width / 2, box.y + box.height / 2, "no data", ink=FAINT, align="center")
