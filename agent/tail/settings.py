"""The bounds of the tailer."""

from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TailSettings:
    """
    `folder` is that of all logs, `state` the file of what is known across restarts.

    `backlog_seconds` is how old a line may be that was written before the agent was there for the first time.
    `flying_bytes` bounds what is in memory and not acknowledged, of all files together; `window_bytes` of one.
    `held_bytes` bounds what deleted files take on disk because they are still to be read, `held_files` how many of them
    are open, of instances that are gone: 6 KB of memory each, however little is in them; never more than half of what
    the system lets be open, and half as many once nothing has arrived for `away_seconds`. Every `count_seconds` it is
    told how many lines there were.
    """

    folder: Path
    state: Path
    backlog_seconds: float = 3600.0
    flying_bytes: int = 16 * MIB
    window_bytes: int = 2 * MIB
    held_bytes: int = 512 * MIB
    held_files: int = 8192
    away_seconds: float = 60.0
    look_seconds: float = 0.5
    save_seconds: float = 1.0
    count_seconds: float = 15.0
    scan_seconds: float = 1.0
    notified_scan_seconds: float = 10.0
    idle_seconds: float = 10.0
    stop_seconds: float = 5.0
    with_inotify: bool = True
