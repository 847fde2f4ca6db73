"""
How the C library's malloc keeps memory: one arena for all threads. Not Python's own small objects.

glibc gives each thread an arena of its own, up to eight for each core, and what one thread has freed another cannot
use: a body that is decoded in one, packed in the next and dropped in a third leaves a hole in each.
"""

import ctypes

_M_ARENA_MAX = -8


def share_one_arena() -> bool:
    """Let all threads of this process share one arena; call it before there are any. False where that is unknown."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    except (OSError, AttributeError):  # not glibc
        return False
