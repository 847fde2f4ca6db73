"""
Which frames beyond the cursor Loki has, in a file of its own: what one stream holds up keeps no other on the disk.

    final = through u64, the numbers up to it that are not final u64 each, checksum u32

What is final stays so: a file that is older than the spool is right in what it says.
"""

import os
import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

_CRC = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Finals:
    """Everything up to number `through` is final but `open`, in order."""

    through: int = 0
    open: "array[int]" = field(default_factory=lambda: array("Q"))

    def has(self, n: int) -> bool:
        """Tell whether frame *n* is final."""
        return n <= self.through and not self.open_between(n, n)

    def open_between(self, first: int, last: int) -> int:
        """Return how many of the frames from *first* to *last* are not final."""
        return self.count_open(last) - self.count_open(first - 1)

    def count_open(self, through: int) -> int:
        """Return how many of the frames up to *through* are not final."""
        return bisect_left(self.open, through + 1) + max(through - self.through, 0)

    def write(self, path: Path) -> None:
        """Make it durable at *path*. Raises OSError, and then what was there holds."""
        numbers = array("Q", (self.through, *self.open))
        if sys.byteorder == "little":
            numbers.byteswap()
        data = numbers.tobytes()
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(data + _CRC.pack(zlib.crc32(data)))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def read_finals(path: Path) -> Finals:
    """Return what lies at *path*; nothing is final where there is no file, or a damaged one. Raises OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Finals()
    body, crc = data[: -_CRC.size], data[-_CRC.size :]
    if len(body) < 8 or len(body) % 8 or zlib.crc32(body) != _CRC.unpack(crc)[0]:
        return Finals()
    numbers = array("Q", body)
    if sys.byteorder == "little":
        numbers.byteswap()
    return Finals(numbers[0], numbers[1:])
