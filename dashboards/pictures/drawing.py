"""A whole dashboard on a page: Grafana's grid of 24 columns, each panel by its type."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from dashboards.pictures.answers import Line, Series
from dashboards.pictures.canvas import FAINT, Box, Canvas
from dashboards.pictures.graphs import graph, lanes, named_series
from dashboards.pictures.tiles import bars, number, said, table

WIDTH = 1440
_CELL_WIDTH, _CELL_HEIGHT, _GAP, _HEAD = WIDTH / 24, 36, 8, 58


class Answers(Protocol):
    """Who answers panels."""

    @property
    def start(self) -> float:
        """Where the range begins, seconds since 1970."""

    @property
    def end(self) -> float:
        """Where it ends."""

    @property
    def chosen(self) -> Mapping[str, str]:
        """The values of variables that are not at All."""

    def number(self, expression: str) -> list[Series]:
        """Return the series at the end of the range, one point each."""

    def over_time(self, expression: str) -> list[Series]:
        """Return the series over the range."""

    def counted(self, expression: str) -> list[Series]:
        """Return what Loki counts, over the range."""

    def lines(self, expression: str, most: int) -> list[Line]:
        """Return the newest lines, newest first."""


class Picture(NamedTuple):
    """A dashboard, drawn."""

    png: bytes
    empty: tuple[str, ...]
    """The titles of panels without any data."""


def picture(board: Mapping[str, Any], answers: Answers) -> Picture:
    """Return the picture of a rendered dashboard, its panels filled by *answers*."""
    bottom = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in board["panels"])
    canvas = Canvas(WIDTH, int(_HEAD + bottom * _CELL_HEIGHT + _GAP))
    _head(canvas, board, answers)
    happened = {it["name"]: answers.lines(it["expr"], 200) for it in board["annotations"]["list"] if it["enable"]}
    empty = [panel["title"] for panel in board["panels"] if not _panel(canvas, panel, answers, happened)]
    return Picture(canvas.png(), tuple(empty))


def _head(canvas: Canvas, board: Mapping[str, Any], answers: Answers) -> None:
    canvas.text(12, 17, board["title"], size=17, is_bold=True)
    span = " to ".join(f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in (answers.start, answers.end))
    canvas.text(WIDTH - 12, 17, f"{span} UTC   ⟳ {board['refresh']}", size=12, ink=FAINT, align="right")
    x = 12.0
    for it in board["templating"]["list"]:
        if it.get("hide") != 2 and it["type"] not in {"constant", "datasource"}:
            value = answers.chosen.get(it["name"], "All" if it.get("includeAll") else "")
            x = _chip(canvas, x, it["label"], value)
    for it in board["annotations"]["list"]:
        x = _chip(canvas, x, it["name"], "on" if it["enable"] else "off")


def _chip(canvas: Canvas, x: float, name: str, value: str) -> float:
    width = 24 + 7.2 * (len(name) + len(value))
    canvas.panel(Box(x, 33, width, 20))
    canvas.text(x + 8, 43, name, size=11, ink=FAINT)
    canvas.text(x + width - 8, 43, value, size=11, align="right")
    return x + width + 6


def _panel(canvas: Canvas, panel: Mapping[str, Any], answers: Answers, happened: Mapping[str, Sequence[Line]]) -> bool:
    """Draw one panel; tell whether it shows anything."""
    at = panel["gridPos"]
    box = Box(
        at["x"] * _CELL_WIDTH + _GAP / 2,
        _HEAD + at["y"] * _CELL_HEIGHT,
        at["w"] * _CELL_WIDTH - _GAP,
        at["h"] * _CELL_HEIGHT - _GAP,
    )
    if panel["type"] == "row":
        canvas.text(box.x + 6, box.y + box.height / 2 + 4, f"▾ {panel['title']}", size=14, is_bold=True)
        return True
    canvas.panel(box)
    if panel["type"] == "logs":
        _title(canvas, box, panel)
        found_lines = [line for it in panel["targets"] for line in answers.lines(it["expr"], it["maxLines"])]
        said(canvas, box, sorted(found_lines, key=lambda it: it.at, reverse=True))
        return bool(found_lines)
    asked = _asked(panel, answers)
    found, span = named_series(panel, asked), (answers.start, answers.end)
    if panel["type"] == "stat":
        number(canvas, box, panel, found)
        return bool(found)
    _title(canvas, box, panel)
    match panel["type"]:
        case "timeseries":
            graph(canvas, box.within(0, 26, 0, 0), panel, found, span=span, happened=happened)
        case "state-timeline":
            lanes(canvas, box.within(0, 26, 0, 0), panel, found, span)
        case "table":
            table(canvas, box, panel, asked)
        case "bargauge":
            bars(canvas, box, panel, found)
        case kind:
            raise ValueError(f"{panel['title']}: nobody draws a panel of type {kind}")
    return bool(found)


def _title(canvas: Canvas, box: Box, panel: Mapping[str, Any]) -> None:
    canvas.text(box.x + 10, box.y + 17, panel["title"], size=12.5, is_bold=True, room=box.width - 20)


def _asked(panel: Mapping[str, Any], answers: Answers) -> list[list[Series]]:
    def ask(target: Mapping[str, Any]) -> Callable[[str], list[Series]]:
        if target["datasource"]["type"] == "loki":
            return answers.counted
        return answers.number if target.get("instant") else answers.over_time

    return [ask(target)(target["expr"]) for target in panel["targets"]]
