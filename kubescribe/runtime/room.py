"""How much room a file system has: what nobody may use up on a node that others live on."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
