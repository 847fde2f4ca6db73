"""Pictures are replaced together, and by none that is empty."""

from pathlib import Path

import pytest

from dashboards.pictures.publishing import MAY_BE_EMPTY, PanelsEmpty, publish
from tests.dashboards.conftest import Board
from tests.dashboards.pictures.test_drawing import Canned


@pytest.fixture
def small(boards: list[Board]) -> dict[str, Board]:
    """One dashboard, of its first row alone."""
    return {boards[0]["uid"]: {**boards[0], "panels": boards[0]["panels"][:4]}}


def test_a_panel_without_data_is_named_and_the_old_picture_stays(tmp_path: Path, small: dict[str, Board]) -> None:
    (name,) = small
    (tmp_path / f"{name}.png").write_bytes(b"old")

    with pytest.raises(PanelsEmpty, match=f"{name}: Nodes not ready"):
        publish(small, tmp_path, lambda _: Canned(values=()))

    assert (tmp_path / f"{name}.png").read_bytes() == b"old"


def test_pictures_with_data_take_the_place_of_the_old_ones(tmp_path: Path, small: dict[str, Board]) -> None:
    (name,) = small
    (tmp_path / f"{name}.png").write_bytes(b"old")

    publish(small, tmp_path, lambda _: Canned())

    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_only_panels_that_there_are_may_be_empty(panels: list[tuple[str, Board]]) -> None:
    assert {(uid, panel["title"]) for uid, panel in panels} >= MAY_BE_EMPTY
