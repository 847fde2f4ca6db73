"""Tables are what Grafana's transformations make of the answers."""

from dashboards.pictures.answers import Series
from dashboards.pictures.tiles import merged, threshold
from tests.dashboards.conftest import Board


def worst(boards: list[Board]) -> Board:
    return next(it for it in boards[0]["panels"] if it["title"] == "The worst workloads")


def test_answers_about_the_same_thing_are_one_row_and_the_worst_is_first(boards: list[Board]) -> None:
    cart, web = {"namespace": "shop", "workload": "cart"}, {"namespace": "shop", "workload": "web"}
    restarts = [Series(cart, [(1.0, 2.0)]), Series(web, [(1.0, 7.0)])]
    oom_kills = [Series(cart, [(1.0, 1.0)])]
    panel = worst(boards)

    rows, columns = merged(panel, [restarts, oom_kills, *([] for _ in panel["targets"][2:])])

    assert columns[:4] == ["namespace", "workload", "Restarts", "OOM kills"]
    assert rows == [{**web, "Restarts": 7.0}, {**cart, "Restarts": 2.0, "OOM kills": 1.0}]


def test_a_colour_is_that_of_the_last_step_that_is_reached() -> None:
    steps = [{"value": None, "color": "green"}, {"value": 1, "color": "orange"}, {"value": 5, "color": "red"}]

    assert [threshold({"thresholds": {"steps": steps}}, it) for it in (0, 1, 4.9, 5)] == [
        "green",
        "orange",
        "orange",
        "red",
    ]
