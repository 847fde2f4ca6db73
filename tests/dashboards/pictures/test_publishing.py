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


def with_old(folder: Path, name: str) -> tuple[Path, Path]:
    """Return an old picture in a folder of its own, and an empty folder."""
    for each in ("docs", "drawn"):
        (folder / each).mkdir()
    old = folder / "docs" / f"{name}.png"
    old.write_bytes(b"old")
    return old, folder / "drawn"


def test_a_panel_without_data_is_named_and_the_old_picture_stays(tmp_path: Path, small: dict[str, Board]) -> None:
    (name,) = small
    old, drawn = with_old(tmp_path, name)

    with pytest.raises(PanelsEmpty, match=f"{name}: Nodes not ready"):
        publish(small, old.parent, drawn, lambda _: Canned(values=()))

    assert old.read_bytes() == b"old"
    assert (drawn / old.name).exists(), "to be looked at"


def test_pictures_with_data_take_the_place_of_the_old_ones(tmp_path: Path, small: dict[str, Board]) -> None:
    (name,) = small
    old, drawn = with_old(tmp_path, name)

    publish(small, old.parent, drawn, lambda _: Canned())

    assert list(old.parent.iterdir()) == [old]
    assert old.read_bytes().startswith(b"\x89PNG")


def test_only_panels_that_there_are_may_be_empty(panels: list[tuple[str, Board]]) -> None:
    assert {(uid, panel["title"]) for uid, panel in panels} >= MAY_BE_EMPTY
