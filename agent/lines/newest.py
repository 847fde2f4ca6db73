"""
The newest lines that are wanted, of many files, in the order of time, without reading more than that takes. Blocking.

Each file is read backwards; next is always the one that may have the newest line unread. When as many lines are found
as are wanted, and no file has newer ones, the rest is left unread.
"""

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.lines.filtering import Sieve
from agent.lines.joining import Entry
from agent.lines.reading import BackwardReader

MAX_READ_BYTES = 256 * 2**20
"""Of text read for one request: five containers as full as the kubelet lets them be."""

MAX_SECONDS = 12.0
"""A filter passes ~70,000 lines a second of a core. Whoever asks waits for 20 s, and has what was found by then."""

MAX_HELD_BYTES = 8 * 2**20
"""Of lines that are kept while it is looked for newer ones; a thousand ordinary ones are 200 KB."""


@dataclass(slots=True)
class Newest:
    """The newest *limit* of the entries that were taken, within MAX_HELD_BYTES; `is_cut` when bytes were the limit."""

    limit: int
    is_cut: bool = False
    _heap: list[tuple[int, int, int, int, Entry]] = field(default_factory=list)
    _bytes: int = 0

    @property
    def floor(self) -> int:
        """The time below which nothing is taken any more, -1 while there is room."""
        return self._heap[0][0] if len(self._heap) >= self.limit or self.is_cut else -1

    def take(self, entry: Entry, source: int, step: int, number: int) -> None:
        """Keep *entry* if it is among the newest; steps of one source are ever older, numbers in one ever newer."""
        item = (entry.at, -step, number, source, entry)
        if self.is_cut and self._heap and item < self._heap[0]:
            return
        self._bytes += len(entry.text)
        if len(self._heap) >= self.limit:
            self._bytes -= len(heapq.heappushpop(self._heap, item)[4].text)
        else:
            heapq.heappush(self._heap, item)
        while self._bytes > MAX_HELD_BYTES and len(self._heap) > 1:
            self._bytes -= len(heapq.heappop(self._heap)[4].text)
            self.is_cut = True

    def sorted(self) -> list[tuple[int, Entry]]:
        """Return (source, entry), oldest first."""
        return [(source, entry) for _, _, _, source, entry in sorted(self._heap, key=lambda item: item[:4])]


def read_newest(
    readers: Sequence[BackwardReader],
    sieve: Sieve,
    newest: Newest,
    *,
    since: int,
    pause: Callable[[], None],
) -> int | None:
    """
    Fill *newest* from *readers*; return the time down to which all was read when a limit ended it, else None.

    *pause* is called after each block; what it raises ends the reading.
    """
    left = dict(enumerate(readers))
    read = step = 0
    deadline = time.monotonic() + MAX_SECONDS
    try:
        while left:
            source, reader = max(left.items(), key=lambda item: item[1].bound)
            if reader.bound < max(newest.floor, since):
                return None
            if read >= MAX_READ_BYTES or time.monotonic() >= deadline:
                return reader.bound
            step += 1
            before = reader.read_bytes
            numbers = iter(range(2**62))

            def take(entry: Entry, source: int = source, step: int = step, numbers: "iter[int]" = numbers) -> None:  # type: ignore[valid-type]
                if entry.at >= newest.floor and sieve.wants(entry):
                    newest.take(entry, source, step, next(numbers))

            if not reader.step(take):
                del left[source]
            read += reader.read_bytes - before
            pause()
    finally:
        for reader in readers:
            reader.close()
    return None
