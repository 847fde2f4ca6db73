"""How much the spool may take, and how long it collects. Values only."""

from dataclasses import dataclass

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
