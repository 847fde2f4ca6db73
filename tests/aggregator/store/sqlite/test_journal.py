"""The SQLite store keeps every promise of a journal."""

import pytest_asyncio

from aggregator.store.sqlite.journal import SqliteJournal
from tests.aggregator.store.contract import *  # noqa: F403 - the promises that every store keeps
from tests.aggregator.store.contract_cursors import *  # noqa: F403
from tests.aggregator.store.contract_retention import *  # noqa: F403


@pytest_asyncio.fixture
async def store(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    yield journal
    await journal.close()
