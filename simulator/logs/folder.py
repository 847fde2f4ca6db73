"""
The folder of the pretend nodes' logs: made, marked as the pretend cluster's own, and swept of pods that are gone.

Only a marked folder is ever swept, so that /var/log/pods of a real node, given by mistake, loses nothing.
"""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from simulator.errors import BadSettings

MARK = ".kubescribe-simulator"
_POD = re.compile(r"[^_]+_[^_]+_[^_]+")


class LogFolder:
    """The folder *root*; with *by_node*, each node has one of its own below it."""

    def __init__(self, root: Path, *, by_node: bool) -> None:
        self._root = root
        self._by_node = by_node

    def open(self) -> None:
        """Make and mark it. BadSettings when it cannot be written, or holds what is not ours."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            mark = self._root / MARK
            if not mark.exists():
                if any(self._root.iterdir()):
                    raise BadSettings(f"--logs {self._root}: there are files of others; name a folder that is empty")
                mark.write_bytes(b"")
        except OSError as error:
            raise BadSettings(f"--logs {self._root}: {error.strerror}; name a folder that can be written") from error

    def of_node(self, node: str) -> Path:
        """Return the folder that is /var/log/pods on *node*."""
        return self._root / node if self._by_node else self._root

    def bytes(self) -> int:
        """Return the size of all files, in bytes."""
        return sum(file.stat().st_size for file in self._root.rglob("*") if file.is_file())

    def sweep(self, known: Collection[Path]) -> None:
        """Remove the folders of all pods but *known*."""
        for node in self._root.iterdir() if self._by_node else [self._root]:
            for folder in node.iterdir() if node.is_dir() else ():
                if folder.is_dir() and _POD.fullmatch(folder.name) and folder not in known:
                    shutil.rmtree(folder, ignore_errors=True)
