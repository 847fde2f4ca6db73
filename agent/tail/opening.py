"""
Opening the files of a container the moment they are found, before anything slow is done.

What a folder lists may be renamed, compressed or deleted before it is opened: the folder is listed again then, and what
was there and cannot be had is told. Waits for the disk: not for the loop.
"""

import os
import resource
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from agent.tail.paths import FileName, parse_file_name

_MAX_FILES = 65_536

_SPARE_FILES = 256
"""What connections, the state and the listing of folders need, whatever is to be read."""

_TRIES = 3

_log = structlog.get_logger(__name__)


class Opened(NamedTuple):
    """An open file of the instance `restart`: it is whoever's who takes it."""

    restart: int
    descriptor: int
    is_gzip: bool = False


@dataclass(slots=True, kw_only=True)
class Openings:
    """What was opened, oldest first, and the instances of which a file was deleted before that."""

    opened: list[Opened] = field(default_factory=list)
    vanished: set[int] = field(default_factory=set)


def raise_file_limit() -> int:
    """Let as many files be open as the system gives; return how many of them may be those of containers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, _MAX_FILES) if hard != resource.RLIM_INFINITY else _MAX_FILES
    if soft < wanted:
        # What is deleted unread is still there only for who has it open.
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(soft // 2, soft - _SPARE_FILES)


def open_live(folder: Path, restarts: Collection[int], max_files: int) -> Openings:
    """Open what those instances write: the file was made anew, after a rotation."""
    openings = Openings()
    for restart in sorted(restarts):
        _open(folder, f"{restart}.log", FileName(restart, "", is_gzip=False), max_files, openings)
    return openings


def open_files(folder: Path, restarts: Collection[int], max_files: int) -> Openings:
    """Open all files of those instances in *folder*, while at most *max_files* are open in this process."""
    openings = Openings()
    tried: set[tuple[int, str]] = set()
    gone: set[tuple[int, str]] = set()
    listed: set[tuple[int, str]] = set()
    for _ in range(_TRIES):
        files = _files(folder, restarts)
        listed = {(file.restart, file.rotated) for _, file in files}
        vanished = set()
        for name, file in files:
            key = (file.restart, file.rotated)
            if key in tried:
                continue
            if _open(folder, name, file, max_files, openings):
                tried.add(key)
            else:
                vanished.add(key)
        gone |= vanished
        if not vanished:
            break
    # The file that is written has another name after a rotation, and was opened under that. What is listed again and
    # again and cannot be had is a link that leads nowhere: the reader waits for it.
    had = {restart for restart, _ in tried}
    openings.vanished = {restart for restart, rotated in gone - tried - listed if rotated or restart not in had}
    return openings


def _files(folder: Path, restarts: Collection[int]) -> list[tuple[str, FileName]]:
    names = []
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    files = [(name, file) for name in names if (file := parse_file_name(name)) and file.restart in restarts]
    # While one is compressed both are there; the plain one is read faster.
    return sorted(files, key=lambda it: (it[1].restart, not it[1].rotated, it[1].rotated, it[1].is_gzip))


def _open(folder: Path, name: str, file: FileName, max_files: int, openings: Openings) -> bool:
    """Open a file into *openings*; False when it is not there any more."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        _log.warning("tail.file_not_opened", folder=str(folder), name=name, error=str(error))
        return True
    # A system gives the lowest number that is free: so many are open.
    if descriptor < max_files and stat.S_ISREG(os.fstat(descriptor).st_mode):
        openings.opened.append(Opened(file.restart, descriptor, file.is_gzip))
    else:
        os.close(descriptor)
    return True
