"""What the benches have beside their measuring: they refuse a figure of something that did not happen."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from benchmarks import memory_agent
from benchmarks.journal_file import living, until_living


def metrics(*, events: int, lists: int) -> str:
    return (
        "# TYPE kubescribe_watch_events counter\n"
        f"kubescribe_watch_events_total {events:.1f}\n"
        f"kubescribe_watch_relists_total {lists:.1f}\n"
    )


CONNECTED = '{"event": "link.connected"}\n'


def test_the_memory_of_an_agent_counts_only_if_it_listed_and_connected_twice_under_load() -> None:
    memory_agent.check(metrics(events=600, lists=2), 2 * CONNECTED)


@pytest.mark.parametrize(
    ("told", "log"),
    [
        (metrics(events=10, lists=2), 2 * CONNECTED),
        (metrics(events=600, lists=1), 2 * CONNECTED),
        (metrics(events=600, lists=2), CONNECTED),
        ("", ""),
    ],
)
def test_the_memory_of_an_agent_that_did_less_is_no_figure(told: str, log: str) -> None:
    with pytest.raises(RuntimeError, match="events, lists, connections"):
        memory_agent.check(told, log)


async def test_a_journal_is_waited_for_also_before_it_is_made(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    assert living(journal) == 0

    waiting = asyncio.create_task(until_living(journal, 2, seconds=10.0))
    with sqlite3.connect(journal) as connection:
        connection.execute("CREATE TABLE heads (object INTEGER, gone INTEGER)")
        connection.executemany("INSERT INTO heads VALUES (?, ?)", [(1, 0), (2, 1), (3, 0)])
    connection.close()

    assert await waiting == 2
