"""The six dashboards as JSON files, the same bytes each time: what the chart ships, and what a test compares."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.incident import incident
from dashboards.infra import infra
from dashboards.logs import logs
from dashboards.pipeline import pipeline
from dashboards.storage import storage
from dashboards.workload import workload

FOLDER = Path("charts/kubescribe/files/dashboards")

BOARDS: tuple[Callable[[], Dashboard], ...] = (incident, workload, infra, logs, pipeline, storage)
"""In the order in which somebody who was woken needs them."""


def rendered() -> dict[str, str]:
    """Return the files by name."""
    built = [board() for board in BOARDS]
    texts = {f"{it.uid}.json": json.dumps(it, cls=JSONEncoder) for it in built}
    return {name: json.dumps(_typed(json.loads(text)), sort_keys=True, indent=2) + "\n" for name, text in texts.items()}


def _typed(board: dict[str, Any]) -> dict[str, Any]:
    """Return *board* without what the SDK writes and Grafana's own types (@grafana/schema 13.2) do not know."""
    for variable in board["templating"]["list"]:
        for name in ("auto", "auto_count", "auto_min"):
            variable.pop(name, None)
    for panel in (it for it in board["panels"] if it["type"] == "table"):
        panel["options"].pop("footer", None)
        panel["fieldConfig"]["defaults"]["custom"].setdefault("cellOptions", {"type": "auto"})
    return board


def boards() -> dict[str, Any]:
    """Return the dashboards as Grafana reads them, by uid."""
    return {name.removesuffix(".json"): json.loads(text) for name, text in rendered().items()}


def write(folder: Path) -> None:
    """Write the files into *folder*, and remove what is no longer one of them."""
    files = rendered()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in {path.name for path in folder.glob("*.json")} - set(files):
        (folder / stale).unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
