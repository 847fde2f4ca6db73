"""The memory store keeps every promise of a journal."""

import pytest_asyncio

from aggregator.store.memory import MemoryJournal
from tests.aggregator.store.contract import *  # noqa: F403 - the promises that every store keeps
from tests.aggregator.store.contract_cursors import *  # noqa: F403
from tests.aggregator.store.contract_retention import *  # noqa: F403


@pytest_asyncio.fixture
async def store():
    journal = MemoryJournal()
    await journal.open()
    yield journal
    await journal.close()
