"""
`python -m dashboards.pictures [FOLDER]`: draw every dashboard into FOLDER, docs/dashboards by default.

It takes a quarter of an hour: for so long the product runs on the pretend cluster, and things go wrong. With
`--prometheus URL --loki URL`, what runs there already is drawn.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from dashboards.pictures.answers import Sources
from dashboards.pictures.drawing import picture
from dashboards.pictures.staging import staged
from dashboards.rendering import boards

_CHOSEN = {"kubescribe-workload": {"namespace": "shop"}}
"""What is chosen in a picture; all else is at All."""

_SETTLING_SECONDS = 90
"""What is not shown of the beginning: processes that start are no dashboard's business."""


def _draw(folder: Path, sources: Sources) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, board in boards().items():
        file = folder / f"{name}.png"
        file.write_bytes(picture(board, replace(sources, chosen=_CHOSEN.get(name, {}))))
        print(f"{file} {file.stat().st_size / 1000:.0f} kB")  # noqa: T201 - it is a command


async def _stage_and_draw(folder: Path, minutes: float) -> None:
    with tempfile.TemporaryDirectory(prefix="kubescribe-pictures-") as place:
        async with staged(Path(place), seconds=minutes * 60 + _SETTLING_SECONDS) as stage:
            end = time.time()
            sources = Sources(stage.prometheus, stage.loki, end - minutes * 60, end)
            await asyncio.to_thread(_draw, folder, sources)


def main() -> None:
    """Parse what is asked for, and do it."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/dashboards"))
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--prometheus", default="")
    parser.add_argument("--loki", default="")
    asked = parser.parse_args()
    if asked.prometheus:
        end = time.time()
        _draw(asked.folder, Sources(asked.prometheus, asked.loki, end - asked.minutes * 60, end))
    else:
        asyncio.run(_stage_and_draw(asked.folder, asked.minutes))


main()
