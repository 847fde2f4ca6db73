"""
Lines of a file to entries: parts joined, each with its time. Pure.

A runtime cuts what a container wrote at 16 KiB, the parts of stdout among those of stderr. An entry has the time of its
first part, as it has in Loki.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.tail.parsing import LogLine, parse_line
from kubescribe.wire.link import MAX_LINE_BYTES


class Entry(NamedTuple):
    """What a container wrote at once: `at` in nanoseconds, `text` as raw bytes, cut at MAX_LINE_BYTES."""

    at: int
    stream: bytes
    text: bytes


Parts = dict[bytes, list[LogLine]]
"""The parts of an entry of each stream that are not whole yet."""


class Joiner:
    """Joins what it is fed, forward. `pending` holds what waits for its end."""

    def __init__(self, at: int = 0) -> None:
        self.pending: Parts = {}
        self._at = at
        """The time of the last line that had one, for those that have none."""

    def feed(self, lines: Iterable[bytes]) -> Iterator[Entry]:
        """Yield the entries that *lines*, without their LF, complete."""
        for line in lines:
            parts = self.add(parse_line(line))
            if parts is not None:
                yield self.joined(parts)

    def add(self, line: LogLine) -> list[LogLine] | None:
        """Take *line*; return the parts of the entry that it completes."""
        if line.at is None:
            line = line._replace(at=self._at)
        else:
            self._at = line.at
        parts = self.pending.get(line.stream)
        if line.is_partial:
            if parts is None:
                self.pending[line.stream] = [line]
            elif _size(parts) <= MAX_LINE_BYTES:
                parts.append(line)
            return None
        if parts is None:
            return [line]
        del self.pending[line.stream]
        parts.append(line)
        return parts

    def rest(self) -> Iterator[Entry]:
        """Yield what has no end and will not get one: its process ended without a line feed."""
        for parts in self.pending.values():
            yield self.joined(parts)
        self.pending = {}

    @staticmethod
    def joined(parts: list[LogLine]) -> Entry:
        """Return the entry that *parts* are."""
        first = parts[0]
        text = first.text if len(parts) == 1 else b"".join(part.text for part in parts)
        return Entry(first.at or 0, first.stream, text[:MAX_LINE_BYTES])


class BackwardJoiner:
    """
    Joins blocks of lines that come newest first, each in its own order.

    The first entry of each stream in a block may have begun in the block before: it is carried until that is known.
    """

    def __init__(self) -> None:
        self._carried: Parts = {}
        self._heads: Parts = {}
        self._joiner = Joiner()

    @property
    def newest_carried(self) -> int:
        """The time of the newest entry that is carried, 0 for none."""
        return max((parts[0].at or 0 for parts in self._carried.values()), default=0)

    def feed(self, lines: Iterable[bytes]) -> Iterator[Entry]:
        """Yield the entries of a part of a block."""
        for line in lines:
            parts = self._joiner.add(parse_line(line))
            if parts is None:
                continue
            stream = parts[0].stream
            if stream in self._heads:
                yield Joiner.joined(parts)
            else:
                self._heads[stream] = parts

    def end_block(self) -> Iterator[Entry]:
        """Yield what was carried into this block, now that it has ended; the block before comes next."""
        pending, carried = self._joiner.pending, self._carried
        for stream in pending.keys() | carried.keys():
            parts = pending.get(stream, []) + carried.get(stream, [])
            if stream in self._heads:
                yield Joiner.joined(parts)
            else:
                self._heads[stream] = parts
        self._carried, self._heads, self._joiner = self._heads, {}, Joiner()

    def rest(self) -> Iterator[Entry]:
        """Yield what is carried still: there is no block before."""
        for parts in self._carried.values():
            yield Joiner.joined(parts)
        self._carried = {}


def _size(parts: list[LogLine]) -> int:
    return sum(len(part.text) for part in parts)
