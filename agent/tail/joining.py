"""
Lines that a runtime wrote in parts, joined; and lines that are longer than Loki takes, divided. Pure.

Parts are joined by stream: one process writes stdout and stderr at the same time. A line has the time of its first
part. Loki refuses a line above max_line_size (256 KB by default): a longer one becomes several entries, nothing of it
is cut. They carry `part` 1, 2, 3 … in their metadata and are a nanosecond apart, which keeps their order; an entry
ends at a whole character. A line of any length is held up to one entry's size.
"""

from collections.abc import Iterator
from typing import NamedTuple

from agent.tail.parsing import LogLine

MAX_LINE_BYTES = 256 * 1024


class Place(NamedTuple):
    """
    A place in the files of an instance: the file's identity, a byte of its text, and the time of the line before.

    `order` counts the files that were read, so that places of one life of the agent can be compared.
    """

    order: int
    file: int
    offset: int
    last_at: int


class Joined(NamedTuple):
    """A line, or a part of one that was too long; `part` is 0 for a whole line."""

    stream: bytes
    at: int
    text: bytes
    part: int


class _Open:
    """A line whose end has not come yet."""

    __slots__ = ("at", "part", "place", "size", "texts")

    def __init__(self, at: int, place: Place) -> None:
        self.at = at
        self.place = place
        self.texts: list[bytes] = []
        self.size = 0
        self.part = 0


class Joiner:
    """The open lines of one instance."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Open] = {}

    @property
    def is_open(self) -> bool:
        """Tell whether a line's end has not come yet."""
        return bool(self._open)

    @property
    def begun(self) -> Place | None:
        """Where the oldest open line begins: whoever starts anew has to start there."""
        return min((line.place for line in self._open.values()), default=None)

    def add(self, line: LogLine, place: Place) -> Iterator[Joined]:
        """Take *line*, which begins at *place* and has a time, and yield what is whole by now."""
        at = line.at or 0
        known = self._open.get(line.stream)
        if known is None:
            if not line.is_partial:
                yield from _divided(line.stream, at, line.text)
                return
            known = self._open[line.stream] = _Open(at, place)
        known.texts.append(line.text)
        known.size += len(line.text)
        if not line.is_partial:
            del self._open[line.stream]
            yield from self._ended(line.stream, known)
        elif known.size > MAX_LINE_BYTES:
            yield from self._begun(line.stream, known)

    def flush(self) -> Iterator[Joined]:
        """Yield what is there of every open line, and forget them."""
        lines, self._open = self._open, {}
        for stream, line in lines.items():
            yield from self._ended(stream, line)

    def _ended(self, stream: bytes, line: _Open) -> Iterator[Joined]:
        text = b"".join(line.texts)
        if line.part and not text:
            return
        yield from _divided(stream, line.at, text, line.part)

    def _begun(self, stream: bytes, line: _Open) -> Iterator[Joined]:
        text = b"".join(line.texts)
        while len(text) > MAX_LINE_BYTES:
            end = _end_of_character(text, MAX_LINE_BYTES)
            for piece in _pieces(text[:end]):
                yield Joined(stream, line.at + line.part, piece, line.part + 1)
                line.part += 1
            text = text[end:]
        line.texts, line.size = [text], len(text)


def _divided(stream: bytes, at: int, text: bytes, parts: int = 0) -> Iterator[Joined]:
    """Yield *text* as Loki takes it; *parts* of it went before."""
    if not parts and len(text) * 3 <= MAX_LINE_BYTES:
        yield Joined(stream, at, valid(text), 0)
        return
    pieces: list[bytes] = []
    while len(text) > MAX_LINE_BYTES:
        end = _end_of_character(text, MAX_LINE_BYTES)
        pieces += _pieces(text[:end])
        text = text[end:]
    pieces += _pieces(text)
    if not parts and len(pieces) == 1:
        yield Joined(stream, at, pieces[0], 0)
        return
    for number, piece in enumerate(pieces, parts):
        yield Joined(stream, at + number, piece, number + 1)


def _pieces(text: bytes) -> list[bytes]:
    """Return *text*, at most MAX_LINE_BYTES of it, in valid UTF-8, which may be three times as long."""
    text = valid(text)
    pieces = []
    while len(text) > MAX_LINE_BYTES:
        end = _end_of_character(text, MAX_LINE_BYTES)
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text]


def _end_of_character(text: bytes, end: int) -> int:
    """Return the end of a whole character at or before *end*; of bytes that are none, *end*."""
    for back in range(4):
        if text[end - back] & 0xC0 != 0x80:
            return end - back
    return end


def valid(text: bytes) -> bytes:
    """Return *text* in UTF-8, with U+FFFD for each sequence that is none."""
    if text.isascii():
        return text
    return text.decode("utf-8", "replace").encode()
