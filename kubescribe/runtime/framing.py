"""
Frames of bytes, one behind the other, each with its length and checksum: what spools are made of. Pure.

    frame = length u32, crc32 u32, payload           (big-endian; length and crc are the payload's)
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from isal.isal_zlib import crc32

_PREFIX = struct.Struct(">II")
PREFIX_BYTES = _PREFIX.size


class Framed(NamedTuple):
    """A frame's payload, the offset just behind it, and whether its checksum agrees."""

    payload: memoryview
    end: int
    is_whole: bool


def framed(*payload: bytes) -> tuple[bytes, ...]:
    """Return the parts of *payload* as they are appended to a file, with what goes before them."""
    length = crc = 0
    for part in payload:
        length += len(part)
        crc = crc32(part, crc)
    return (_PREFIX.pack(length, crc), *payload)


def frames_from(data: bytes | memoryview, start: int, *, min_bytes: int, max_bytes: int) -> Iterator[Framed]:
    """
    Yield the frames of *data* from offset *start* on, also those whose checksum does not agree.

    Stop silently where no frame of *min_bytes* to *max_bytes* can be: what follows is torn off or damaged. A length
    beyond *max_bytes* must not make a reader allocate.
    """
    view = memoryview(data)
    while start + _PREFIX.size <= len(view):
        length, crc = _PREFIX.unpack_from(view, start)
        end = start + _PREFIX.size + length
        if not min_bytes <= length <= max_bytes or end > len(view):
            return
        payload = view[start + _PREFIX.size : end]
        yield Framed(payload, end, crc32(payload) == crc)
        start = end
