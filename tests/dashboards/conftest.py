"""What the tests of the dashboards look at: the rendered files, once."""

import json
from typing import Any

import pytest

from dashboards.rendering import rendered

Board = dict[str, Any]


@pytest.fixture(scope="session")
def files() -> dict[str, str]:
    return rendered()


@pytest.fixture(scope="session")
def boards(files: dict[str, str]) -> list[Board]:
    return [json.loads(text) for text in files.values()]


@pytest.fixture(scope="session")
def panels(boards: list[Board]) -> list[tuple[str, Board]]:
    """Every panel that is no row, with its dashboard's uid."""
    return [(board["uid"], panel) for board in boards for panel in board["panels"] if panel["type"] != "row"]
