"""Pictures put where they are read, all or none: an empty one never takes the place of one that showed something."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dashboards.pictures.drawing import Answers, picture
from dashboards.pictures.staging import INSTALLATION

CHOSEN: Mapping[str, Mapping[str, str]] = {"kubescribe-workload": {"namespace": "shop"}}
"""What is chosen in a picture, beside the installation; all else is at All."""

MAY_BE_EMPTY = frozenset(
    {
        ("kubescribe-storage", "Counts folded into other"),  # it takes thousands of series to reach a limit
        ("kubescribe-storage", "Series a family had no room for"),
        ("kubescribe-pipeline", "Conversations that ended badly"),  # a good quarter of an hour has none
    }
)
"""Panels that are as they should be when they show nothing, by dashboard and title."""


class PanelsEmpty(Exception):
    """Panels have no data that should have some; the message names them, and where their pictures lie."""


def publish(
    boards: Mapping[str, Mapping[str, Any]], folder: Path, place: Path, answers: Callable[[Mapping[str, str]], Answers]
) -> None:
    """
    Draw *boards* into *place*, an empty folder, filled by *answers* for what is chosen; then move them into *folder*.

    Raises PanelsEmpty, and leaves *folder* as it was.
    """
    empty: list[str] = []
    for name, board in boards.items():
        drawn = picture(board, answers({"installation": INSTALLATION, **CHOSEN.get(name, {})}))
        (place / f"{name}.png").write_bytes(drawn.png)
        empty += [f"{name}: {title}" for title in drawn.empty if (name, title) not in MAY_BE_EMPTY]
    if empty:
        raise PanelsEmpty(
            f"no data, so {folder} stays as it was ({place} has what was drawn):\n  " + "\n  ".join(empty)
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(place.iterdir()):
        target = folder / file.name
        target.write_bytes(file.read_bytes())
        print(f"{target} {target.stat().st_size / 1000:.0f} kB")  # noqa: T201 - it is a command's
