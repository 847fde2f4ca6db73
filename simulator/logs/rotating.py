"""
One rotation of a container's log, step by step as the kubelet does it (pkg/kubelet/logs/container_log_manager.go).

    remove `*.tmp`, and raw files whose `.gz` is there · remove the oldest beyond max_files - 2 · compress what is raw
    (`.tmp`, then renamed to `.gz`, then the raw one is removed) · rename `N.log` to `N.log.YYYYMMDD-HHMMSS` · reopen
"""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

STAMP = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When and how far the kubelet keeps logs."""

    max_bytes: int = 10 * 1024 * 1024
    """containerLogMaxSize: a file of at least this size is rotated at the next look."""
    max_files: int = 5
    """containerLogMaxFiles: with the one that is written."""


def rotate(path: Path, rotation: Rotation, *, now: datetime, reopen: Callable[[], None]) -> Path:
    """
    Rotate the log at *path*; return where its last generation went.

    *now* is local time. *reopen* makes the runtime write a new file; until then it writes into the renamed one. The
    kubelet never rotates twice in a second; who does gets the next free second, so that nothing is overwritten.
    """
    found = sorted(path.parent.glob(f"{path.name}.*"))
    known = {file.name for file in found}
    kept = []
    for file in found:
        if file.suffix == ".tmp" or (file.suffix != ".gz" and f"{file.name}.gz" in known):
            file.unlink()
        else:
            kept.append(file)
    excess = max(0, len(kept) - max(0, rotation.max_files - 2))
    for file in kept[:excess]:
        file.unlink()
    for file in kept[excess:]:
        if file.suffix != ".gz":
            _compress(file)
    rotated = _free_name(path, now)
    path.rename(rotated)
    reopen()
    return rotated


def generations(path: Path) -> list[Path]:
    """Return every file of the log at *path*, oldest first, the one that is written last."""
    older = sorted(file for file in path.parent.glob(f"{path.name}.*") if file.suffix != ".tmp")
    return [*older, path] if path.exists() else older


def content(path: Path) -> bytes:
    """Return what is in one file of a log, uncompressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _compress(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    # Go's writer: level 6, no name and no time in the header.
    with (
        path.open("rb") as raw,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as out,
    ):
        shutil.copyfileobj(raw, out)
    temporary.replace(path.with_name(f"{path.name}.gz"))
    path.unlink()


def _free_name(path: Path, now: datetime) -> Path:
    latest = max((file.name for file in path.parent.glob(f"{path.name}.*")), default="")
    rotated = path.with_name(f"{path.name}.{now.strftime(STAMP)}")
    while rotated.name <= latest.removesuffix(".gz"):
        now += timedelta(seconds=1)
        rotated = path.with_name(f"{path.name}.{now.strftime(STAMP)}")
    return rotated
