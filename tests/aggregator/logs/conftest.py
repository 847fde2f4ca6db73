"""A journal, a fleet, and what reads lines from both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.logs.reading import NodeLines
from tests.aggregator.logs.house import NOW, Fleet, PodJournal


@pytest.fixture
def journal() -> PodJournal:
    return PodJournal()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


@pytest.fixture
def lines(journal: PodJournal, fleet: Fleet) -> NodeLines:
    return NodeLines(journal, fleet, now_ns=lambda: NOW)
