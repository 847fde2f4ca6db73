"""
What waits for one who hears lines: bounded, the oldest is dropped and counted.

Whoever hears too slowly so never holds up the others.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

MAX_SINK_LINES = 5_000
MAX_SINK_BYTES = 2 * 2**20


@dataclass(slots=True, frozen=True)
class Notice:
    """Something to know between the lines: `cause` is from a closed list, `detail` is words."""

    cause: str
    count: int = 0
    detail: str = ""


class Sink:
    """What waits for one who hears; of too much the oldest is dropped and counted."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._notices: deque[Notice] = deque(maxlen=64)
        self._bytes = 0
        self._dropped = 0
        self.ready = asyncio.Event()
        self.has_ended = False

    def put(self, lines: Iterable[bytes], notices: Iterable[Notice] = ()) -> None:
        """Take *lines*, finished JSON."""
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line)
        self._notices.extend(notices)
        while len(self._lines) > MAX_SINK_LINES or self._bytes > MAX_SINK_BYTES:
            self._bytes -= len(self._lines.popleft())
            self._dropped += 1
        self.ready.set()

    def end(self) -> None:
        """Tell that nothing comes any more."""
        self.has_ended = True
        self.ready.set()

    def take(self) -> tuple[int, list[Notice], list[bytes]]:
        """Return how many lines were dropped before those that follow, the notices, and the lines."""
        taken = (self._dropped, list(self._notices), list(self._lines))
        self._dropped = self._bytes = 0
        self._notices.clear()
        self._lines.clear()
        self.ready.clear()
        return taken
