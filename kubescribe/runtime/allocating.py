"""
How the C library's malloc keeps memory: one arena for all threads, given back after a rush. Not Python's small objects.

glibc gives each thread an arena of its own, up to eight for each core, and what one thread has freed another cannot
use: a body that is decoded in one, packed in the next and dropped in a third leaves a hole in each.

By itself it gives back only what is free at the end of the arena. What waited at the worst moment, a list of ten
thousand objects on a busy machine, stays the process's for ever: 45 MB of 160, or none, as it happens.
"""

import asyncio
import ctypes
import os
from pathlib import Path
from typing import NoReturn

_M_ARENA_MAX = -8

LOOK_SECONDS = 10.0
WORTH_BYTES = 4 * 2**20
"""Growth since the last time that is worth a look at every hole: ~2 ms for 60 MB, in which no thread gets memory."""


def share_one_arena() -> bool:
    """Let all threads of this process share one arena; call it before there are any. False where that is unknown."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    except (OSError, AttributeError):  # not glibc
        return False


def give_back() -> bool:
    """Give whole pages that are free to the system, wherever they lie. False where that is unknown."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):  # not glibc
        return False


async def keep_giving_back(*, look_seconds: float = LOOK_SECONDS) -> NoReturn:
    """Give back what is free whenever the process has grown since; for ever."""
    left = 0
    while True:
        await asyncio.sleep(look_seconds)
        if resident_bytes() > left + WORTH_BYTES:
            await asyncio.to_thread(give_back)
            left = resident_bytes()


def resident_bytes() -> int:
    """Return what this process holds of the machine's memory; 0 where no /proc says it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
