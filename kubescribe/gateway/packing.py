"""
A push that was understood → what the spool keeps of it. Pure.

A shipper's own snappy is kept where its streams go on as they lie in it; what came as JSON or OTLP, what is larger than
a frame is meant to be, and what has metadata of the names that we add, is written anew.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from kubescribe.gateway.entries import append_metadata
from kubescribe.gateway.frames import Frozen
from kubescribe.gateway.naming import Found, Named, Naming
from kubescribe.gateway.parts import check_streams
from kubescribe.gateway.streams import PIECE_BYTES, Incoming, append_missing, pieces_of
from kubescribe.loki.encoding import compress, encode_stream

FRAME_BYTES = 2 * 2**20
"""What is read back and sent at a time; a larger body becomes several frames."""

MADE_BYTES = 3 * 2**20
"""Of a frame's entries with their metadata, that are kept for sending; what is more is read back and made then."""

_METADATA = b"\x1a"
"""The key of an entry's metadata. A push without this byte, which no text has either, has none."""


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A frame to be: how the streams go on, the compressed request that holds them, and their lines.

    `made` are the streams' entries as they go on; none where that is much, or not the first frame of its body.
    """

    streams: tuple[Frozen, ...]
    request: bytes
    lines: int
    made: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A whole body: its frames, and how many lines went on under which names."""

    drafts: tuple[Draft, ...]
    found: Mapping[Found, int]


Waits = Callable[[Collection[str]], bool]
"""Tells of streams, by how they go on, whether they will wait on the disk: their entries are made when they go."""


def nothing_waits(_: Collection[str]) -> bool:
    """Tell that all is sent at once."""
    return False


def pack(streams: Iterable[Incoming], naming: Naming, *, request: bytes, waits: Waits = nothing_waits) -> Packed:
    """
    Return *streams*, asked for one by one, as a frame around *request*, compressed, with exactly these.

    What is made of a stream's entries is made right behind their check, while they are warm, unless the first stream
    tells that it may be for nothing. Raises BadPush, TooLarge, and what asking for a stream raises.
    """
    taken: list[Incoming] = []
    frozen: list[Frozen] = []
    made: list[bytes] = []
    found: Counter[Found] = Counter()
    size, clashes = 0, False
    for number, stream in enumerate(streams, 1):
        check_streams(number)
        name = naming.name(stream.labels, stream.clue, at=stream.first_at)
        clashes = clashes or _clashes(stream, name)
        taken.append(stream)
        frozen.append(Frozen(name.labels, name.encoded, stream.count, stream.first_at, stream.last_at))
        found[name.found] += stream.count
        size += len(stream.entries) + len(name.encoded) * stream.count
        if len(made) == number - 1 and size <= MADE_BYTES and not clashes and (made or not waits([name.labels])):
            made.append(append_metadata(stream.entries, name.encoded))
    if clashes:
        return pack_anew(taken, naming, waits=waits)
    if len(made) < len(taken):
        made = list(_made(frozen, [stream.entries for stream in taken], waits))
    return Packed((Draft(tuple(frozen), request, found.total(), tuple(made)),) if taken else (), found)


def pack_anew(streams: Iterable[Incoming], naming: Naming, *, waits: Waits = nothing_waits) -> Packed:
    """Return *streams*, asked for one by one, as frames that hold them encoded anew. Raises BadPush, TooLarge."""
    found: Counter[Found] = Counter()
    drafts: list[Draft] = []
    for draft in _drafts(_written(streams, naming, found), waits):
        if drafts:
            # A large body: it is not to be in memory twice, and is read back from the disk.
            drafts[0] = replace(drafts[0], made=())
        drafts.append(draft)
    return Packed(tuple(drafts), found)


def _written(streams: Iterable[Incoming], naming: Naming, found: Counter[Found]) -> Iterator[tuple[Frozen, bytes]]:
    """Yield how streams go on and their entries, none much larger than PIECE_BYTES; count the lines in *found*."""
    for number, stream in enumerate(streams, 1):
        check_streams(number)
        name = naming.name(stream.labels, stream.clue, at=stream.first_at)
        found[name.found] += stream.count
        entries, metadata = stream.entries, name.encoded
        if _clashes(stream, name):
            entries, metadata = append_missing(entries, name.metadata), b""
        for piece, count in pieces_of(entries, PIECE_BYTES):
            yield Frozen(name.labels, metadata, count, stream.first_at, stream.last_at), piece


def _drafts(written: Iterable[tuple[Frozen, bytes]], waits: Waits) -> Iterator[Draft]:
    frozen: list[Frozen] = []
    regions: list[bytes] = []
    size, tells = 0, waits
    for stream, entries in written:
        if frozen and size + len(entries) > FRAME_BYTES:
            yield _draft(frozen, regions, tells)
            frozen, regions, size, tells = [], [], 0, _is_large
        frozen.append(stream)
        regions.append(entries)
        size += len(entries)
    if frozen:
        yield _draft(frozen, regions, tells)


def _is_large(_: Collection[str]) -> bool:
    """Tell that what is behind the first frame of a body is read back, and made then."""
    return True


def _draft(frozen: list[Frozen], regions: list[bytes], waits: Waits) -> Draft:
    # The labels as they came are not needed any more: a frame holds how the streams go on.
    request = compress(b"".join(encode_stream("", entries) for entries in regions))
    return Draft(tuple(frozen), request, sum(stream.count for stream in frozen), _made(frozen, regions, waits))


def _made(frozen: Sequence[Frozen], regions: Sequence[bytes], waits: Waits) -> tuple[bytes, ...]:
    """Return the entries as they go on, none where they would grow too large, or go later."""
    added = sum(len(stream.metadata) * stream.count for stream in frozen)
    if added + sum(map(len, regions)) > MADE_BYTES or waits([stream.labels for stream in frozen]):
        return ()
    return tuple(append_metadata(entries, stream.metadata) for stream, entries in zip(frozen, regions, strict=True))


def _clashes(stream: Incoming, name: Named) -> bool:
    """Tell whether an entry of *stream* may have metadata of a name that is to be added."""
    if not name.metadata or not stream.may_have_metadata or _METADATA not in stream.entries:
        return False
    return _pattern(frozenset(name.metadata)).search(stream.entries) is not None


@lru_cache(maxsize=64)
def _pattern(names: frozenset[str]) -> re.Pattern[bytes]:
    """Return what finds the name field of a metadata pair with one of *names*."""
    encoded = (bytes((0x0A, len(name))) + name.encode() for name in sorted(names) if len(name) < 0x80)
    return re.compile(b"|".join(map(re.escape, encoded)))
