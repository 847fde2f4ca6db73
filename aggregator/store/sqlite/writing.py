"""
Run a Plan as one durable transaction, on the one connection that writes.

A transaction is one call in aiosqlite's thread: one hop for all its statements, and nothing, no cancellation either,
can come between them. Only this file and journal.py know aiosqlite.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import aiosqlite

from aggregator.errors import StoreError, StoreUnavailable
from aggregator.records import Plan
from aggregator.store.bodies import Packer
from aggregator.store.sqlite.statements import WORD, Step, steps_of, words_of

_CONTRADICTIONS = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError, OverflowError)


class TransactionConnection(sqlite3.Connection):
    """A connection whose script may also be steps; these run as one transaction, whole or not at all."""

    def executescript(self, sql_script: str | Iterable[Step], /) -> sqlite3.Cursor:
        """Run a script, or steps as one transaction that is on disk when this returns."""
        if isinstance(sql_script, str):
            return super().executescript(sql_script)
        if self.in_transaction:  # a rollback that failed with the disk
            self.execute("ROLLBACK")
        self.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in sql_script:
                self.executemany(sql, rows)
            return self.execute("COMMIT")
        except BaseException:
            # Most I/O errors have rolled back already.
            if self.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self.execute("ROLLBACK")
            raise


class Writer:
    """The write connection and what it remembers between transactions: the numbers of words."""

    def __init__(self, connection: aiosqlite.Connection, packer: Packer, words: dict[str, int], path: Path) -> None:
        self._connection = connection
        self._packer = packer
        self._words = words
        self._last_word = max(words.values(), default=0)
        self._path = path

    async def commit(self, plan: Plan) -> None:
        """
        Execute *plan*; whole and on disk when this returns.

        Raises StoreUnavailable when the disk does not serve, StoreError when the plan contradicts the journal; nothing
        of it was kept then. Cancelled, it first waits for the transaction, so the next one finds a quiet connection.
        """
        new_words: dict[str, int] = {}
        running = asyncio.ensure_future(self._connection.executescript(cast("str", self._steps(plan, new_words))))
        try:
            await self._finish(running)
        finally:
            if not running.cancelled() and running.exception() is None:
                self._words.update(new_words)
                self._last_word += len(new_words)

    async def run(self, steps: Iterable[Step]) -> None:
        """Run *steps* as one transaction, as `commit` does."""
        await self._finish(asyncio.ensure_future(self._connection.executescript(cast("str", steps))))

    async def _finish(self, running: asyncio.Future[aiosqlite.Cursor]) -> None:
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        except _CONTRADICTIONS as error:
            raise StoreError(f"a transaction contradicts the journal {self._path}: {error}") from error
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the journal {self._path} cannot be written: {error}") from error

    def _steps(self, plan: Plan, new_words: dict[str, int]) -> Iterator[Step]:
        words = self._words
        missing = [word for word in words_of(plan) if word not in words]
        if missing:
            new_words.update((word, self._last_word + place) for place, word in enumerate(sorted(missing), 1))
            words = words | new_words
            yield WORD, [(number, word) for word, number in new_words.items()]
        yield from steps_of(plan, words, self._packer)
