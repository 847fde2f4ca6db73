"""
The threads that read: each with its own read-only connection, each read one short transaction.

A read that takes too long is interrupted, because the WAL cannot shrink below the oldest transaction that is open.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from aggregator.errors import StoreClosed, StoreError, StoreUnavailable
from aggregator.store.bodies import DamagedValue, Unpacker
from aggregator.store.patches import PatchMisfit

T = TypeVar("T")

MAX_SECONDS = 1.0
"""How long one read may hold its transaction."""

PATIENT_SECONDS = 0.6
"""After this a read that can end early does so, with a shorter page: well below MAX_SECONDS."""

_STEPS_BETWEEN_CHECKS = 20_000
"""Steps of SQLite's machine between two looks at the clock, about a millisecond."""

_MAX_WAITING = 256
"""Reads that may wait for a thread; more are refused, since by their turn nobody would wait for the answer."""

_CACHE_KIB = 8192


class Reading:
    """What a read works with: a connection inside a transaction, an unpacker, words, a clock that runs out."""

    def __init__(self, path: Path, dictionaries: Mapping[int, bytes], clock: Callable[[], float]) -> None:
        # `mode=ro` cannot open the -shm file that a WAL reader needs to write its mark into, so query_only it is.
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
        self.connection.execute("PRAGMA query_only = 1")
        self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.connection.set_progress_handler(self._is_late, _STEPS_BETWEEN_CHECKS)
        self.unpacker = Unpacker(dictionaries)
        self._clock = clock
        self._started = 0.0
        self._words: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Close the connection; from any thread, when no read is under way."""
        self.connection.close()

    def run(self, read: Callable[["Reading"], T]) -> T:
        """Return *read* of one consistent state of the journal."""
        self._started = self._clock()
        self.connection.execute("BEGIN")
        try:
            return read(self)
        finally:
            self.connection.execute("ROLLBACK")

    def is_out_of_patience(self) -> bool:
        """Tell whether a read that can end early should."""
        return self._clock() - self._started > PATIENT_SECONDS

    def word(self, number: int) -> str:
        """Return the word of that number."""
        found = self._words.get(number)
        if found is None:
            row = self.connection.execute("SELECT text FROM words WHERE id = ?", (number,)).fetchone()
            if row is None:
                raise DamagedValue(f"word {number} is missing")
            found = self._words[number] = row[0]
        return found

    def number(self, word: str) -> int | None:
        """Return the number of *word*, None when the journal never heard it."""
        found = self._numbers.get(word)
        if found is None:
            row = self.connection.execute("SELECT id FROM words WHERE text = ?", (word,)).fetchone()
            if row is None:
                return None
            found = self._numbers[word] = row[0]
        return found

    def meta(self, name: str) -> str:
        """Return one of the journal's own names, "" when it has none yet."""
        row = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def _is_late(self) -> bool:
        return self._clock() - self._started > MAX_SECONDS


class ReaderPool:
    """A few threads that answer reads, in the order in which they were asked."""

    def __init__(
        self,
        path: Path,
        dictionaries: Mapping[int, bytes],
        *,
        threads: int,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._dictionaries = dictionaries
        self._clock = clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._local = threading.local()
        self._opened: list[Reading] = []
        self._waiting = 0
        self._is_closed = False

    async def read(self, read: Callable[[Reading], T]) -> T:
        """Return what *read* returns. Raises StoreClosed, StoreUnavailable; StoreError when rows make no sense."""
        if self._is_closed:
            raise StoreClosed("the journal was closed")
        if self._waiting >= _MAX_WAITING:
            raise StoreUnavailable(f"the journal has {self._waiting} reads waiting; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, read)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Finish the reads under way, refuse new ones."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._executor.shutdown)
        for reading in self._opened:
            reading.close()
        self._opened.clear()

    def _run(self, read: Callable[[Reading], T]) -> T:
        try:
            return self._reading().run(read)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StoreUnavailable(
                    f"the read took longer than {MAX_SECONDS:g} s; ask for less time, fewer objects or a smaller page"
                ) from error
            raise StoreUnavailable(f"the journal {self._path} cannot be read: {error}") from error
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the journal {self._path} cannot be read: {error}") from error
        except (DamagedValue, PatchMisfit, msgspec.MsgspecError) as error:
            raise StoreError(f"the journal {self._path} holds a row that makes no sense: {error}") from error

    def _reading(self) -> Reading:
        reading: Reading | None = getattr(self._local, "reading", None)
        if reading is None:
            reading = self._local.reading = Reading(self._path, self._dictionaries, self._clock)
            self._opened.append(reading)
        return reading
