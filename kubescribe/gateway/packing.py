"""
A push that was understood → what the spool keeps of it. Pure.

A shipper's own snappy is kept where its streams go on as they lie in it; what came as JSON or OTLP, what is larger than
a frame is meant to be, and what has metadata of the names that we add, is written anew.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kubescribe.gateway.frames import Frozen
from kubescribe.gateway.naming import Found, Named, Naming
from kubescribe.gateway.parts import check_streams
from kubescribe.gateway.streams import Incoming, append_metadata, append_missing, pieces_of
from kubescribe.loki.encoding import compress, encode_stream

FRAME_BYTES = 2 * 2**20
"""What is read back and sent at a time; a larger body becomes several frames."""

_PIECE_BYTES = 512 * 1024
_METADATA = b"\x1a"
"""The key of an entry's metadata. A push without this byte, which no text has either, has none."""


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A frame to be: how the streams go on, the compressed request that holds them, and their lines.

    `regions` are the streams' entries before compression.
    """

    streams: tuple[Frozen, ...]
    request: bytes
    lines: int
    regions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A whole body: its frames, and how many lines went on under which names."""

    drafts: tuple[Draft, ...]
    found: Mapping[Found, int]


def pack(streams: Sequence[Incoming], naming: Naming, *, request: bytes = b"", size: int = 0) -> Packed:
    """
    Return *streams* as frames, under the names that *naming* gives them.

    *request* is the compressed request that holds exactly these, of *size* bytes before, where there is one.
    Raises BadPush, and TooLarge for too many streams.
    """
    check_streams(len(streams))
    named = [naming.name(stream.labels, stream.clue) for stream in streams]
    found: Counter[Found] = Counter()
    for stream, name in zip(streams, named, strict=True):
        found[name.found] += stream.count
    clashes = [_clashes(stream, name) for stream, name in zip(streams, named, strict=True)]
    if request and size <= FRAME_BYTES and not any(clashes):
        frozen = tuple(
            Frozen(name.labels, name.encoded, stream.count, stream.first_at, stream.last_at)
            for stream, name in zip(streams, named, strict=True)
        )
        lines = sum(stream.count for stream in streams)
        regions = tuple(stream.entries for stream in streams)
        drafts = (Draft(frozen, request, lines, regions),) if streams else ()
        return Packed(drafts, found)
    return Packed(tuple(_drafts(_written(streams, named, clashes))), found)


def _written(
    streams: Sequence[Incoming], named: Sequence[Named], clashes: Sequence[bool]
) -> Iterator[tuple[Frozen, bytes]]:
    """Yield how streams go on and their entries, none much larger than _PIECE_BYTES."""
    for stream, name, clash in zip(streams, named, clashes, strict=True):
        metadata = name.encoded
        if clash:
            entries, metadata = append_missing(stream.entries, name.metadata), b""
        else:
            entries = append_metadata(stream.entries, b"")
        for piece, count in pieces_of(entries, _PIECE_BYTES):
            yield Frozen(name.labels, metadata, count, stream.first_at, stream.last_at), piece


def _drafts(written: Iterable[tuple[Frozen, bytes]]) -> Iterator[Draft]:
    frozen: list[Frozen] = []
    regions: list[bytes] = []
    size = 0
    for stream, entries in written:
        if frozen and size + len(entries) > FRAME_BYTES:
            yield _draft(frozen, regions)
            frozen, regions, size = [], [], 0
        frozen.append(stream)
        regions.append(entries)
        size += len(entries)
    if frozen:
        yield _draft(frozen, regions)


def _draft(frozen: list[Frozen], regions: list[bytes]) -> Draft:
    # The labels as they came are not needed any more: a frame holds how the streams go on.
    request = compress(b"".join(encode_stream("", entries) for entries in regions))
    return Draft(tuple(frozen), request, sum(stream.count for stream in frozen), tuple(regions))


def _clashes(stream: Incoming, name: Named) -> bool:
    """Tell whether an entry of *stream* may have metadata of a name that is to be added."""
    if not name.metadata or _METADATA not in stream.entries:
        return False
    return _pattern(frozenset(name.metadata)).search(stream.entries) is not None


@lru_cache(maxsize=64)
def _pattern(names: frozenset[str]) -> re.Pattern[bytes]:
    """Return what finds the name field of a metadata pair with one of *names*."""
    encoded = (bytes((0x0A, len(name))) + name.encode() for name in sorted(names) if len(name) < 0x80)
    return re.compile(b"|".join(map(re.escape, encoded)))
