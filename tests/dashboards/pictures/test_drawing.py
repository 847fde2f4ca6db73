"""A panel of each type is drawn, from canned answers and from none."""

import io
from dataclasses import dataclass, field

import pytest
from PIL import Image

from dashboards.pictures.answers import Line, Series
from dashboards.pictures.drawing import WIDTH, picture
from tests.dashboards.conftest import Board

KINDS = ["bargauge", "logs", "stat", "state-timeline", "table", "timeseries"]
TALL = 5


@dataclass
class Canned:
    """Answers everything with the same."""

    start: float = 0.0
    end: float = 600.0
    chosen: dict[str, str] = field(default_factory=dict)
    values: tuple[float, ...] = (1.0, 0.0, 3.0)

    def number(self, _: str) -> list[Series]:
        return [Series({"workload": f"w{it}"}, [(self.end, value)]) for it, value in enumerate(self.values)]

    def over_time(self, _: str) -> list[Series]:
        return [
            Series({"workload": f"w{it}"}, [(at, value) for at in range(0, 600, 15)])
            for it, value in enumerate(self.values)
        ]

    def counted(self, expression: str) -> list[Series]:
        return self.over_time(expression)

    def lines(self, _: str, __: int) -> list[Line]:
        return [
            Line(300.0 + value, {"workload": "w", "detected_level": "error"}, 'level=error cost="$5" …')
            for value in self.values
        ]


def one_of_each(boards: list[Board]) -> Board:
    """The first dashboard with the first panel of each type that there is, below each other."""
    panels = {panel["type"]: panel for board in boards for panel in board["panels"]}
    places = {kind: {"x": 0, "y": TALL * index, "w": 24, "h": TALL} for index, kind in enumerate(panels)}
    return {**boards[0], "panels": [{**panel, "gridPos": places[kind]} for kind, panel in panels.items()]}


def drawn(board: Board, answers: Canned) -> Image.Image:
    return Image.open(io.BytesIO(picture(board, answers).png)).convert("RGB")


def test_a_panel_of_each_type_is_drawn_on_its_place(boards: list[Board]) -> None:
    board = one_of_each(boards)
    assert sorted(it["type"] for it in board["panels"] if it["type"] != "row") == KINDS

    full, empty = drawn(board, Canned()), drawn(board, Canned(values=()))

    assert full.size[0] == WIDTH
    for panel in board["panels"]:
        if panel["type"] != "row":
            top = 58 + panel["gridPos"]["y"] * 36
            place = (0, top, WIDTH, top + TALL * 36)
            assert full.crop(place).tobytes() != empty.crop(place).tobytes(), f"{panel['type']} shows nothing"


def test_a_type_that_nobody_draws_is_told(boards: list[Board]) -> None:
    panel = {**boards[0]["panels"][1], "type": "heatmap", "title": "Odd"}

    with pytest.raises(ValueError, match="Odd: nobody draws a panel of type heatmap"):
        picture({**boards[0], "panels": [panel]}, Canned())
