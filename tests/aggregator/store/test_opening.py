"""A URL names a store, and what cannot serve is refused with one line that says what and what to do."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from aggregator.errors import StoreUnusable
from aggregator.records import Plan
from aggregator.store.memory import MemoryJournal
from aggregator.store.opening import folder_of, open_journal
from aggregator.store.schema import migrate
from aggregator.store.sqlite.journal import SqliteJournal


async def refusal(path: Path, cluster_uid: str = "") -> str:
    with pytest.raises(StoreUnusable) as raised:
        await open_journal(str(path), cluster_uid=cluster_uid).open()
    message = str(raised.value)
    assert "\n" not in message
    assert str(path) in message
    return message


async def make(path: Path, plan: Plan | None = None) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    if plan is not None:
        await journal.commit(plan)
    await journal.close()


def test_a_url_chooses_the_store(tmp_path):
    assert isinstance(open_journal("memory:"), MemoryJournal)
    for url in (f"sqlite://{tmp_path}/j.db", f"{tmp_path}/j.db", "data/j.db"):
        assert isinstance(open_journal(url), SqliteJournal)


def test_the_folder_of_a_store_is_told_where_there_is_one(tmp_path):
    assert folder_of("memory:") is None
    for url in (f"sqlite://{tmp_path}/j.db", f"{tmp_path}/j.db"):
        assert folder_of(url) == tmp_path


@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite://host/db", "sqlite://", ""])
def test_an_unknown_store_is_refused(url):
    with pytest.raises(StoreUnusable, match=r"sqlite:"):
        open_journal(url)


async def test_a_file_that_is_not_sqlite_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    path.write_text("dear diary, " * 1000)

    assert "not an SQLite file" in await refusal(path)
    assert path.read_text().startswith("dear diary")


async def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()

    assert "not a kubescribe journal" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_newer_journal_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    await make(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")

    assert "newer kubescribe (schema 999" in await refusal(path)


async def test_the_journal_of_another_cluster_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    await make(path, Plan(cluster_uid="c1"))

    assert "of another cluster (c1, not c2)" in await refusal(path, "c2")
    journal = open_journal(str(path), cluster_uid="c1")
    await journal.open()
    await journal.close()


async def test_a_damaged_journal_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    await make(path)
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in await refusal(path)

    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert "is damaged" in await refusal(path)


async def test_a_second_aggregator_on_the_same_file_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    first = open_journal(str(path))
    await first.open()

    assert "in use by another process" in await refusal(path)
    await first.close()
    await make(path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    await refusal(tmp_path / "file" / "journal.db")


OPEN = """
import asyncio, importlib.readers, os, resource, signal, sys
from aggregator.errors import StoreUnusable
from aggregator.store.opening import open_journal
from aggregator.store.schema import migrate
path, user, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if user:
    os.setuid(user)
try:
    asyncio.run(open_journal(path).open())
except StoreUnusable as error:
    print(error)
    sys.exit(2)
"""


def opened_elsewhere(path: Path, *, user: int = 0, limit: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(path), str(user), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=30,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout.count("\n") == 1
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's rights, which only root can")
def test_a_folder_that_may_not_be_written_is_refused():
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        assert "this user may write" in opened_elsewhere(folder / "journal.db", user=65534)
        asyncio.run(make(folder / "journal.db"))
        for file in folder.iterdir():
            file.chmod(0o666)
        (folder / "journal.db").chmod(0o444)
        assert "may write" in opened_elsewhere(folder / "journal.db", user=65534)
    finally:
        shutil.rmtree(folder)


def test_a_disk_without_space_is_refused(tmp_path):
    message = opened_elsewhere(tmp_path / "journal.db", limit=16_384)

    assert "space" in message


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "journal.db"

    opened_elsewhere(path, limit=16_384)

    await make(path)


async def test_a_journal_of_an_older_schema_is_brought_forward_with_what_it_holds(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    known = migrate.migrations()
    monkeypatch.setattr(migrate, "migrations", lambda: known[:2])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate.migrate(connection, str(path))
        connection.execute("INSERT INTO meta VALUES ('journal_id', 'j1'), ('redaction_key', x'00'), ('epoch', 4)")
        connection.execute("INSERT INTO spools VALUES ('s1', 17)")
    monkeypatch.setattr(migrate, "migrations", lambda: known)

    journal = SqliteJournal(path)
    state = await journal.open()

    assert (state.journal_id, state.epoch, state.spools) == ("j1", 4, {"s1": 17})
    assert await journal.cursor("loki") is None
    await journal.move_cursor("loki", 5)
    await journal.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (known[-1][0],)
