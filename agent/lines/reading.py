"""
Reading one instance of a container backwards, newest block first. Blocking: for threads.

A file as it was written is read from its end, as far back as is wanted; where `until` lies is found by bisection, since
a file is in the order of time. A compressed one can only be read from its beginning, piece by piece.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress

from agent.lines.joining import BackwardJoiner, Entry
from agent.tail.generations import Generation, open_generation
from agent.tail.parsing import parse_line

BLOCK_BYTES = 256 * 1024
"""A read that costs the disk one seek, and a thousand lines: enough for most who ask."""

_MAX_UNBROKEN_BYTES = 4 * 2**20
"""What has no line feed in so many bytes is no log of lines."""

_NEARLY_BYTES = 64 * 1024
"""Two goroutines write a file: a line may stand behind one that is a little younger."""

_END_OF_TIME = 2**62


class BackwardReader:
    """
    The lines of an instance, block by block.

    No entry that a later `step` gives is newer than `bound`. With *is_whole* the end of the newest file is the end of
    its last line, too: its container writes no more.
    """

    def __init__(self, generations: Sequence[Generation], *, since: int, until: int, is_whole: bool) -> None:
        self._since = since
        self._until = until
        self._joiner = BackwardJoiner()
        self._is_whole = is_whole
        self._steps = self._read(list(generations))
        self._take: Callable[[Entry], None] = _ignore
        self.bound = _END_OF_TIME
        self.read_bytes = 0

    def step(self, take: Callable[[Entry], None]) -> bool:
        """Read a block, give its entries to *take*, some of them a block later; False at the end."""
        self._take = take
        try:
            return next(self._steps, False)
        except (OSError, ValueError):
            # Deleted or damaged meanwhile: what lies behind it is older, and may still be there.
            return True

    def close(self) -> None:
        """Let go of the file."""
        self._steps.close()

    def _read(self, generations: list[Generation]) -> Generator[bool, None, None]:
        newer = 0
        for index in range(len(generations) - 1, -1, -1):
            generation = generations[index]
            is_newest = index == len(generations) - 1
            if self._since and 0 < newer <= self._since:
                break  # all that is left is older than the first line of a file that begins before
            newer = generation.identity
            if self._until and generation.identity >= self._until:
                continue
            with suppress(OSError, ValueError):
                yield from self._packed(generation) if generation.is_gzip else self._plain(generation, is_newest)
            if self.bound < self._since:
                break
        for entry in self._joiner.rest():
            self._take(entry)
        yield False

    def _plain(self, generation: Generation, is_newest: bool) -> Iterator[bool]:
        file = open_generation(generation)
        try:
            descriptor = file.descriptor
            end = generation.size
            if self._until:
                end = min(end, end_before(descriptor, generation.size, self._until) + _NEARLY_BYTES)
            while end > 0:
                start, data = self._block(descriptor, end)
                if end == generation.size and is_newest and not self._is_whole:
                    data = data[: data.rfind(b"\n") + 1]
                end = start
                if data:
                    self._give(data)
                yield True
                if self.bound < self._since:
                    return
        finally:
            file.close()

    def _block(self, descriptor: int, end: int) -> tuple[int, bytes]:
        """Return whole lines that end at *end*, and where they begin."""
        size = BLOCK_BYTES
        while True:
            start = max(0, end - size)
            data = os.pread(descriptor, end - start, start)
            self.read_bytes += len(data)
            if start == 0:
                return 0, data
            # The LF that ends the line before the block's first whole one.
            newline = data.find(b"\n", 0, len(data) - 1)
            if newline >= 0:
                return start + newline + 1, data[newline + 1 :]
            if size >= _MAX_UNBROKEN_BYTES:
                return start, b""
            size *= 2

    def _give(self, data: bytes) -> None:
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for entry in self._joiner.feed(lines):
            self._take(entry)
        for entry in self._joiner.end_block():
            self._take(entry)
        first = next((at for line in lines[:64] if (at := parse_line(line).at) is not None), None)
        if first is not None:
            self.bound = min(self.bound, max(first, self._joiner.newest_carried))

    def _packed(self, generation: Generation) -> Iterator[bool]:
        file = open_generation(generation)
        try:
            rest = b""
            while piece := file.read(BLOCK_BYTES):
                self.read_bytes += len(piece)
                rest += piece
                if len(rest) > _MAX_UNBROKEN_BYTES and b"\n" not in piece:
                    rest = b""
                lines = rest.split(b"\n")
                rest = lines.pop()
                for entry in self._joiner.feed(lines):
                    self._take(entry)
                yield True
            if rest:
                for entry in self._joiner.feed([rest]):
                    self._take(entry)
        finally:
            file.close()
            for entry in self._joiner.end_block():
                self._take(entry)
        if generation.identity > 0:
            self.bound = min(self.bound, max(generation.identity, self._joiner.newest_carried))
        yield True


def end_before(descriptor: int, size: int, until: int) -> int:
    """Return a place in a file of *size* bytes behind which no line is older than *until*, nearly the first such."""
    low, high = 0, size
    while high - low > BLOCK_BYTES:
        middle = (low + high) // 2
        data = os.pread(descriptor, BLOCK_BYTES, middle)
        at = _first_time(data)
        if at is not None and at >= until:
            place = middle + max(0, data.find(b"\n"))
            if place >= high:
                break
            high = place
        else:
            low = middle
    return high


def end_of_entries(descriptor: int, size: int) -> int:
    """Return where in the first *size* bytes the last line ends that is the end of an entry, too."""
    end = size
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        data = os.pread(descriptor, end - start, start)
        at = data.rfind(b"\n")
        while at >= 0:
            first = data.rfind(b"\n", 0, at)
            if first < 0 and start > 0:
                break
            if not parse_line(data[first + 1 : at]).is_partial:
                return start + at + 1
            at = first
        if start == 0:
            return 0
        if at < 0 or at == len(data) - 1:
            return end  # a line longer than a block, which no runtime writes
        end = start + at + 1
    return 0


def _first_time(data: bytes) -> int | None:
    for line in data.split(b"\n", 8)[1:8]:
        at = parse_line(line).at
        if at is not None:
            return at
    return None


def _ignore(_: Entry) -> None:
    """Take an entry that nobody waits for."""
