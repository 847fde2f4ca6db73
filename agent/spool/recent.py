"""
The frames that were written last, in memory: whoever reads as fast as they come needs no disk. Pure bookkeeping.

They follow each other without a hole; behind a hole it begins anew.
"""

from collections import deque
from itertools import islice

from agent.spool.frames import Frame

_MAX_FRAMES = 256


class Recent:
    """The newest frames, of at most *max_bytes* and 256 of them. `last_n` is the newest ever taken."""

    def __init__(self, last_n: int, max_bytes: int) -> None:
        self.last_n = last_n
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def add(self, frame: Frame) -> None:
        """Take a frame that was written; the oldest go where there is no room."""
        if self._frames and frame.n != self._frames[-1].n + 1:
            self._frames.clear()
            self._bytes = 0
        self._frames.append(frame)
        self._bytes += len(frame.batch)
        while self._frames and (self._bytes > self._max_bytes or len(self._frames) > _MAX_FRAMES):
            self._bytes -= len(self._frames.popleft().batch)
        self.last_n = max(self.last_n, frame.n)

    def from_on(self, n: int) -> list[Frame] | None:
        """Return all from frame *n* on; None where not all of them are here."""
        if not self._frames or self._frames[0].n > n:
            return None
        return [frame for frame in self._frames if frame.n >= n]

    def behind(self, n: int, max_bytes: int) -> list[Frame]:
        """Return the frames behind number *n*, about *max_bytes* of them; none where the next one is not here."""
        if not self._frames or not self._frames[0].n <= n + 1 <= self._frames[-1].n:
            return []
        taken: list[Frame] = []
        size = 0
        for frame in islice(self._frames, n + 1 - self._frames[0].n, None):
            taken.append(frame)
            size += len(frame.batch)
            if size >= max_bytes:
                break
        return taken
