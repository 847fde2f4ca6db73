"""What any shipper's push comes to: streams of encoded entries; and where these lie in what was pushed. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from kubescribe.gateway.entries import MAX_TIME
from kubescribe.gateway.messages import Stream
from kubescribe.gateway.parts import check_streams
from kubescribe.labels.clues import Clue
from kubescribe.loki.encoding import encode_metadata, varint

_STREAM, _LABELS, _ENTRY = 0x0A, 0x0A, 0x12
PIECE_BYTES = 512 * 1024
"""Of a stream; a larger one goes on in pieces."""


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """
    Entries of one stream, as they came.

    `labels` is the selector's text, `entries` what encode_entry makes, one behind the other, `count` of them. The times
    are those of the earliest and the latest entry, ns (see `Looked`). `clue` tells the container where the labels do
    not.
    """

    labels: str
    entries: bytes
    count: int
    first_at: int
    last_at: int
    clue: Clue | None = None
    may_have_metadata: bool = True


class Gathering:
    """
    Entries that are encoded one by one, of several streams, given out in pieces.

    What a body holds is there once: a piece is given out as soon as it is large enough.
    """

    def __init__(self) -> None:
        self._streams: dict[tuple[str, Clue | None], _Gathered] = {}

    def add(self, labels: str, clue: Clue | None, at_ns: int, entry: bytes) -> Incoming | None:
        """Take an entry; return the piece of its stream that is complete with it. Raises TooLarge."""
        key = (labels, clue)
        gathered = self._streams.get(key)
        if gathered is None:
            gathered = self._streams[key] = _Gathered()
            check_streams(len(self._streams))
        gathered.parts.append(entry)
        gathered.size += len(entry)
        # Not min and max: a call takes longer than all the rest.
        if at_ns < gathered.first_at:  # noqa: PLR1730
            gathered.first_at = at_ns
        if at_ns > gathered.last_at:  # noqa: PLR1730
            gathered.last_at = at_ns
        return self._taken(key) if gathered.size >= PIECE_BYTES else None

    def rest(self) -> Iterator[Incoming]:
        """Yield what is left, in the order in which the streams began."""
        for key in list(self._streams):
            yield self._taken(key)

    def _taken(self, key: tuple[str, Clue | None]) -> Incoming:
        gathered = self._streams.pop(key)
        entries = b"".join(gathered.parts)
        return Incoming(key[0], entries, len(gathered.parts), gathered.first_at, gathered.last_at, key[1])


class _Gathered:
    __slots__ = ("first_at", "last_at", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.first_at, self.last_at = MAX_TIME, 0


def append_missing(entries: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return *entries* with each of *metadata* at the end of those that have none of that name."""
    made: dict[frozenset[str], bytes] = {}
    parts: list[bytes] = []
    for entry in Stream.FromString(entries).entries:
        told = frozenset(pair.name for pair in entry.metadata)
        if (missing := made.get(told)) is None:
            missing = encode_metadata({name: value for name, value in metadata.items() if name not in told})
            made[told] = missing
        body = entry.SerializeToString() + missing
        parts += (b"\x12", varint(len(body)), body)
    return b"".join(parts)


def streams_in(request: bytes | memoryview) -> Iterator[tuple[bytes, bytes]]:
    """
    Yield the labels and the entries of each stream of *request*, in which labels come first.

    Raises ValueError for another. Whatever else lies in a stream is taken for entries.
    """
    at, size = 0, len(request)
    while at < size:
        if request[at] != _STREAM:
            raise ValueError(f"no stream at byte {at}")
        length, start = read_length(request, at + 1)
        at = start + length
        if start >= size or request[start] != _LABELS or at > size:
            raise ValueError(f"no labels at byte {start}")
        length, start = read_length(request, start + 1)
        if start + length > at:
            raise ValueError(f"labels that end behind their stream at byte {start}")
        yield bytes(request[start : start + length]), bytes(request[start + length : at])


def regions_of(request: bytes | memoryview) -> Iterator[bytes]:
    """Yield the entries of each stream of *request*, in which labels come first. Raises ValueError for another."""
    return (entries for _, entries in streams_in(request))


def pieces_of(entries: bytes, max_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield *entries* in pieces of at most *max_bytes*, or one longer entry, each with the number of its entries."""
    start = count = at = 0
    for end in ends_of(entries):
        if end - start > max_bytes and count:
            yield entries[start:at], count
            start, count = at, 0
        at = end
        count += 1
    if count:
        yield entries[start:], count


def ends_of(entries: bytes) -> Iterator[int]:
    """Yield where each of *entries* ends. Raises ValueError where something else than an entry lies."""
    at, size = 0, len(entries)
    while at < size:
        if entries[at] != _ENTRY:
            raise ValueError(f"no entry at byte {at}")
        length, body = read_length(entries, at + 1)
        at = body + length
        yield at


def read_length(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the varint at *at* and where it ends. Raises ValueError where none ends."""
    length = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(f"a torn length at byte {at}")
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7
