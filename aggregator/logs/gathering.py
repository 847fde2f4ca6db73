"""
The newest of the lines that come from many nodes at once, in the order of time, within a limit of lines and of bytes.

Pure.
"""

import heapq
from collections.abc import Iterable

from aggregator.logs.asking import LogLine

MAX_BYTES = 16 * 2**20
"""Of text that is held for one answer, whatever the number of nodes."""


class Gathered:
    """Keeps the newest of what it is given: one line more than *limit*, which tells whether there are older ones."""

    def __init__(self, limit: int, *, max_bytes: int = MAX_BYTES) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._heap: list[tuple[int, int, LogLine]] = []
        self._bytes = 0
        self._number = 0
        self._known: set[tuple[int, str, str, str]] = set()
        self.is_cut = False

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def oldest(self) -> int:
        """The time of the oldest line that is kept, 0 for none."""
        return self._heap[0][0] if self._heap else 0

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take *lines*; those of one container are in their order. A line that was given before is left out."""
        for line in lines:
            if line.identity in self._known:
                continue
            self._known.add(line.identity)
            self._number += 1
            self._bytes += len(line.text)
            heapq.heappush(self._heap, (line.at, self._number, line))
            while len(self._heap) > self._limit + 1 or (self._bytes > self._max_bytes and len(self._heap) > 2):
                self.is_cut = True
                _, _, dropped = heapq.heappop(self._heap)
                self._bytes -= len(dropped.text)
                self._known.discard(dropped.identity)

    def page(self) -> tuple[list[LogLine], int]:
        """
        Return the lines, oldest first, and the `until` of the lines before them, 0 when there are none.

        Lines of one moment are never parted by a page, unless one moment has more than a page of them.
        """
        lines = [line for _, _, line in sorted(self._heap, key=lambda item: item[:2])]
        if len(lines) <= self._limit and not self.is_cut:
            return lines, 0
        first = lines[0].at
        younger = [line for line in lines if line.at > first]
        if younger:
            return younger, younger[0].at
        return lines[-self._limit :], first
