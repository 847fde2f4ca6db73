"""
A file of lines, each with its checksum, written at its end and synced; now and then it is written anew.

A line that was torn by a crash, and what follows it, never was. All of it waits for the disk: not for the loop.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_SMALL_BYTES = 2**20


class LineFile:
    """The file *path*, whose folder is made. `read` or `rewrite` come before anything else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._live_bytes = 0
        self._is_torn = False
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> list[bytes]:
        """Return the lines that are whole, up to the first that is not; behind these `append` goes on."""
        self._size = 0
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        lines = []
        for line in data.split(b"\n")[:-1]:
            checksum, _, text = line.partition(b" ")
            if checksum != b"%08x" % zlib.crc32(text):
                break
            lines.append(text)
            self._size += len(line) + 1
        self._live_bytes, self._is_torn = self._size, self._size < len(data)
        return lines

    def is_bloated(self) -> bool:
        """Tell whether most of the file is of the past: then it is time for `rewrite`."""
        return self._size > _SMALL_BYTES and self._size > 4 * self._live_bytes

    def append(self, lines: Sequence[bytes]) -> None:
        """Write *lines*, none of which holds a line feed: they are on disk, or OSError is raised and none is."""
        data = b"".join(map(_checked, lines))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if self._is_torn:
                self._cut(descriptor)
            self._is_torn = True
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(descriptor, data[written:], self._size + written)
                os.fdatasync(descriptor)
            except OSError:
                # Lines of it may be whole, and would be read behind shorter ones that are written over the first.
                with suppress(OSError):
                    self._cut(descriptor)
                raise
        finally:
            os.close(descriptor)
        self._is_torn = False
        self._size += len(data)

    def rewrite(self, lines: Sequence[bytes]) -> None:
        """Put *lines* in place of all that there is, as one. Raises OSError: then these or the old ones are there."""
        data = b"".join(map(_checked, lines))
        draft = self._path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        # Whatever comes of the folder: what is appended now is appended to these lines.
        self._is_torn = False
        self._size = self._live_bytes = len(data)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _cut(self, descriptor: int) -> None:
        """Take away what lies behind the last line that counts; where that fails, the next `append` begins with it."""
        os.ftruncate(descriptor, self._size)
        self._is_torn = False


def _checked(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)
