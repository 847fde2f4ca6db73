"""
Make a file ready to serve as the journal, or say in one line why it cannot: the work of `open`, run in a thread.

The lock is a file of its own beside the journal: SQLite's own locks would shut out our readers too, and a lock of the
kernel ends with its process, however that ends.
"""

import errno
import fcntl
import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from aggregator.errors import StoreUnusable
from aggregator.records import JournalState
from aggregator.store.bodies import SHIPPED, DamagedValue, Unpacker, shipped_dictionary
from aggregator.store.schema.migrate import migrate
from aggregator.store.sqlite.state import read_state

BUSY_MILLISECONDS = 2000
"""Our own readers and writer never wait for each other; this is for a person with a shell on the file."""

_WRITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
)


@dataclass(slots=True, kw_only=True, frozen=True)
class Prepared:
    """A journal that is ready: its state, the numbers of its words, its dictionaries, the lock that is held."""

    state: JournalState
    words: dict[str, int]
    dictionaries: dict[int, bytes]
    lock: int


def prepare(path: Path, cluster_uid: str) -> Prepared:
    """Create or check the journal at *path*; a *cluster_uid* must be the journal's own. Raises StoreUnusable."""
    lock = _lock(path)
    try:
        return _prepare(path, cluster_uid, lock)
    except BaseException:
        release(lock)
        raise


def release(lock: int) -> None:
    """Let the next process have the journal."""
    os.close(lock)


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Made here, for its mode: the redaction key is in it. SQLite gives the -wal and -shm the same one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnusable(f"the journal {path} cannot be opened: {_reason(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreUnusable(
            f"the journal {path} is in use by another process; stop it, or name another file with --store or --data"
        ) from error
    return descriptor


def _prepare(path: Path, cluster_uid: str, lock: int) -> Prepared:
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)) as connection:
            migrate(connection, str(path))
            for pragma in _WRITE_PRAGMAS:
                connection.execute(pragma)
            _check_length(connection, path)
            _introduce(connection)
            dictionaries = dict(connection.execute("SELECT id, data FROM dictionaries"))
            state = read_state(connection, Unpacker(dictionaries))
            words = dict(connection.execute("SELECT text, id FROM words"))
    except (DamagedValue, msgspec.MsgspecError, KeyError) as error:
        raise StoreUnusable(f"the journal {path} is damaged ({error}); restore a backup or move it away") from error
    except sqlite3.Error as error:
        raise StoreUnusable(_complaint(path, error)) from error
    if cluster_uid and state.cluster_uid and state.cluster_uid != cluster_uid:
        raise StoreUnusable(
            f"the journal {path} is of another cluster ({state.cluster_uid}, not {cluster_uid}); name another file"
        )
    return Prepared(state=state, words=words, dictionaries=dictionaries, lock=lock)


def _introduce(connection: sqlite3.Connection) -> None:
    """Give a new journal its id, key and dictionaries; of every one, prove that it can be written."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR IGNORE INTO meta VALUES (?, ?)",
        [("journal_id", uuid4().hex), ("redaction_key", secrets.token_bytes(32)), ("epoch", 1)],
    )
    have = {number for (number,) in connection.execute("SELECT id FROM dictionaries")}
    connection.executemany(
        "INSERT INTO dictionaries VALUES (?, ?)",
        [(number, shipped_dictionary(number)) for number in SHIPPED if number not in have],
    )
    connection.execute("INSERT INTO meta VALUES ('opened', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")
    connection.execute("COMMIT")


def _check_length(connection: sqlite3.Connection, path: Path) -> None:
    """Find a file that was cut short; SQLite itself would find it only where it reads."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size < pages * page_bytes:
        raise sqlite3.DatabaseError("database disk image is malformed: the file is shorter than it says")


def _complaint(path: Path, error: sqlite3.Error) -> str:
    """Return the line for an operator."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    match primary:
        case sqlite3.SQLITE_NOTADB:
            return f"{path} is not an SQLite file, so it is no journal; name another file with --store or --data"
        case sqlite3.SQLITE_FULL:
            return f"no space left for the journal {path}; make room, or name another file with --store or --data"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return (
                f"the journal {path} cannot be written ({error}); it needs a file and a folder that this user may write"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"the journal {path} is locked by another program; close it, or name another file"
        case sqlite3.SQLITE_IOERR:
            return f"the disk of the journal {path} fails ({error}); check the disk and its free space"
        case _:
            return f"the journal {path} is damaged ({error}); restore a backup or move it away"


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "no space left; make room, or name another file with --store or --data"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return f"{error.strerror}; it needs a folder that this user may write"
        case _:
            return f"{error.strerror}; name another file with --store or --data"
