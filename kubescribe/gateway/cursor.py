"""
How far Loki has what the spool holds: one number in a file, durable and never torn.

Two places are written in turn, each with a checksum, so that whatever a power failure does to the one that is being
written, the other is as old as the last write; a file that is replaced would cost three syncs instead of one.
"""

import os
import struct
import zlib
from pathlib import Path

_SLOT = struct.Struct(">QQ")
_CRC = struct.Struct(">I")
_APART = 4096
"""A disk's sector, or more: a torn write takes one place only."""


class Cursor:
    """The number, and its file. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn, self.n = max((self._read(place) for place in (0, 1)), default=(0, 0))

    def move(self, n: int) -> None:
        """Make *n* the number; durable when it returns. Raises OSError, and then the old number holds."""
        turn = self._turn + 1
        slot = _SLOT.pack(turn, n)
        os.pwrite(self._file, slot + _CRC.pack(zlib.crc32(slot)), turn % 2 * _APART)
        os.fdatasync(self._file)
        self._turn, self.n = turn, n

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self, place: int) -> tuple[int, int]:
        data = os.pread(self._file, _SLOT.size + _CRC.size, place * _APART)
        if len(data) < _SLOT.size + _CRC.size or zlib.crc32(data[: _SLOT.size]) != _CRC.unpack(data[_SLOT.size :])[0]:
            return 0, 0
        turn, n = _SLOT.unpack(data[: _SLOT.size])
        return turn, n
