"""
`python -m dashboards.pictures [FOLDER]`: draw every dashboard into FOLDER, docs/dashboards by default.

It takes a quarter of an hour: for so long the product runs on the pretend cluster, and things go wrong. With
`--prometheus URL --loki URL`, what runs there already is drawn. Where a panel is empty that should not be, nothing in
FOLDER changes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from dashboards.pictures.answers import Sources
from dashboards.pictures.publishing import PanelsEmpty, publish
from dashboards.pictures.staging import staged
from dashboards.rendering import boards

_SETTLING_SECONDS = 90
"""What is not shown of the beginning: processes that start are no dashboard's business."""


def _place() -> Path:
    return Path(tempfile.mkdtemp(prefix="kubescribe-drawn-"))


async def _stage_and_draw(folder: Path, minutes: float) -> None:
    with tempfile.TemporaryDirectory(prefix="kubescribe-pictures-") as place:
        async with staged(Path(place), seconds=minutes * 60 + _SETTLING_SECONDS) as stage:
            end = time.time()
            sources = Sources(stage.prometheus, stage.loki, end - minutes * 60, end)
            await asyncio.to_thread(publish, boards(), folder, _place(), sources.choosing)


def main() -> None:
    """Parse what is asked for, and do it."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/dashboards"))
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--prometheus", default="")
    parser.add_argument("--loki", default="")
    asked = parser.parse_args()
    try:
        if asked.prometheus:
            end = time.time()
            sources = Sources(asked.prometheus, asked.loki, end - asked.minutes * 60, end)
            publish(boards(), asked.folder, _place(), sources.choosing)
        else:
            asyncio.run(_stage_and_draw(asked.folder, asked.minutes))
    except PanelsEmpty as error:
        sys.exit(str(error))


main()
