"""What was appended is read again, and what could not be appended never was."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubescribe.runtime.linefile import LineFile


@contextmanager
def disk_of(max_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond *max_bytes*: what fits is written, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def file(path: Path) -> LineFile:
    file = LineFile(path)
    file.rewrite([b"a=0", b"b=0"])
    return file


def test_what_was_appended_is_read_in_its_order(file: LineFile, path: Path) -> None:
    file.append([b"a=1"])
    file.append([b"a=2", b"b=1"])

    assert LineFile(path).read() == [b"a=0", b"b=0", b"a=1", b"a=2", b"b=1"]


def test_nothing_is_there_of_what_could_not_be_written_whole(file: LineFile, path: Path) -> None:
    with disk_of(path.stat().st_size + 30), pytest.raises(OSError, match="too large"):
        file.append([b"a=1", b"b=1", b"c=1"])

    assert LineFile(path).read() == [b"a=0", b"b=0"]


def test_no_line_of_a_write_that_failed_stands_behind_those_that_were_written_later(file: LineFile, path: Path) -> None:
    with disk_of(path.stat().st_size + 30), pytest.raises(OSError, match="too large"):
        file.append([b"a=1", b"b=1", b"c=1"])
    file.append([b"b=2"])

    assert LineFile(path).read() == [b"a=0", b"b=0", b"b=2"]


def test_what_could_not_be_taken_away_is_taken_away_before_the_next_line(file: LineFile, path: Path) -> None:
    whole = path.stat().st_size
    with disk_of(whole + 30), pytest.raises(OSError, match="too large"):
        file.append([b"a=1", b"b=1", b"c=1"])
    # As after a disk that took two lines and then failed at everything: these, and that they are there, is remembered.
    with path.open("ab") as raw:
        raw.write(b"%s" % path.read_bytes()[:whole])
    file._is_torn = True

    file.append([b"b=2"])

    assert LineFile(path).read() == [b"a=0", b"b=0", b"b=2"]
