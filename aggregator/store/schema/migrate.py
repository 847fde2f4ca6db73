"""
Bring a journal file to this program's schema, or say in one line why it cannot serve.

Each migration runs in one transaction with the `user_version` that it makes, so a crash leaves the version before.
"""

import sqlite3
from collections.abc import Iterable
from importlib.resources import files

from aggregator.errors import StoreUnusable

APPLICATION_ID = 0x6B627363
"""`kbsc`: marks the file as ours for us, for `file` and for everybody's curiosity."""


def migrations() -> list[tuple[int, str]]:
    """Return (number, SQL) of every migration, ascending."""
    folder = files("aggregator.store.schema")
    return sorted(
        (int(entry.name[:4]), entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql")
    )


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Create or upgrade the schema. *connection* is in autocommit mode. Raises StoreUnusable, sqlite3.Error."""
    known = migrations()
    newest = known[-1][0]
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    if application not in {0, APPLICATION_ID} or (application == 0 and (version or _has_tables(connection))):
        raise StoreUnusable(
            f"{path} is an SQLite file, but not a kubescribe journal; name another file with --store or --data"
        )
    if version > newest:
        raise StoreUnusable(
            f"{path} was written by a newer kubescribe (schema {version}, this one knows {newest}); "
            "start that version again or name another file"
        )
    for number, script in known:
        if number > version:
            _run(connection, [*_statements(script), f"PRAGMA application_id = {APPLICATION_ID}"], number)


def _run(connection: sqlite3.Connection, statements: Iterable[str], number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(script: str) -> Iterable[str]:
    """Split at the ends that SQLite itself sees; `executescript` would commit behind our back."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
