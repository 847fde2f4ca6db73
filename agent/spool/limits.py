"""How much the spool may take, and how long it collects. Values only, and the one look at the file system."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """
    The bounds of a spool.

    `max_bytes` on disk; at it, the oldest segment goes first. Below `free_floor` of the disk's bytes or inodes the
    spool does not grow: a new frame displaces an old one (`floor_bytes` are used even then, or a node short of disk
    could report nothing). `unwritten_bytes` is what may wait in memory for the disk before `put` waits; `recent_bytes`
    what is kept in memory for the link after it was written. A frame is written `linger_seconds` after its first record
    or at `frame_bytes`; while nobody reads, `idle_linger_seconds` and `idle_frame_bytes` apply, because larger frames
    compress better and nobody waits for them.
    """

    max_bytes: int = 512 * MIB
    segment_bytes: int = 8 * MIB
    free_floor: float = 0.15
    floor_bytes: int = 1 * MIB
    unwritten_bytes: int = 8 * MIB
    recent_bytes: int = 4 * MIB
    frame_bytes: int = 256 * 1024
    frame_records: int = 4096
    linger_seconds: float = 0.01
    idle_frame_bytes: int = 900 * 1024
    idle_linger_seconds: float = 0.5
    retry_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Room:
    """The share of a file system that is free, bytes and inodes, each 0 to 1."""

    bytes_free: float
    inodes_free: float

    def is_below(self, floor: float) -> bool:
        """Tell whether either share is below *floor*."""
        return self.bytes_free < floor or self.inodes_free < floor


RoomOf = Callable[[Path], Room]


def room_of(folder: Path) -> Room:
    """Return the room on the file system of *folder*. A file system without a count of inodes has enough of them."""
    answer = os.statvfs(folder)
    blocks = answer.f_bavail / answer.f_blocks if answer.f_blocks else 1.0
    inodes = answer.f_favail / answer.f_files if answer.f_files else 1.0
    return Room(blocks, inodes)
