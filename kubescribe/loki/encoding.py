"""
Loki's push request in protobuf (pkg/push/push.proto), written by hand: bytes in, bytes out. Pure.

    PushRequest   { repeated Stream streams = 1 }
    Stream        { string labels = 1; repeated Entry entries = 2 }
    Entry         { Timestamp timestamp = 1 {int64 seconds = 1, int32 nanos = 2}; string line = 2;
                    repeated LabelPair structuredMetadata = 3 {string name = 1, string value = 2} }

An entry is encoded once and sent again as the same bytes: Loki drops a repeat only when time, line and metadata are
equal (grafana/loki#21039). Tests hold every function against google.protobuf.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import cramjam

_SECOND = 1_000_000_000
_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))


def varint(number: int) -> bytes:
    """Return *number* (not negative) as a base-128 varint, lowest group first."""
    # The lengths, the seconds and the nanoseconds of every line go through here: written out, it takes a third.
    if number < 0x80:
        return _ONE_BYTE[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    if number < 0x20_0000:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    if number < 0x8_0000_0000:
        head = (number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14 & 0x7F | 0x80)
        return bytes(
            (*head, number >> 21) if number < 0x1000_0000 else (*head, number >> 21 & 0x7F | 0x80, number >> 28)
        )
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: int, value: bytes) -> bytes:
    """Return a length-delimited field; *tag* is its whole key byte (number << 3 | 2)."""
    return bytes((tag,)) + varint(len(value)) + value


def encode_time(at_ns: int) -> bytes:
    """Return the timestamp field of an entry at *at_ns* (since 1970, not negative); protobuf leaves zeros out."""
    seconds, nanos = divmod(at_ns, _SECOND)
    inner = _seconds(seconds) + b"\x10" + varint(nanos) if nanos else _seconds(seconds)
    return b"\x0a" + _ONE_BYTE[len(inner)] + inner


@lru_cache(maxsize=256)
def _seconds(seconds: int) -> bytes:
    # Many lines are of the same second.
    return b"\x08" + varint(seconds) if seconds else b""


def encode_metadata(metadata: Mapping[str, str]) -> bytes:
    """Return the structuredMetadata fields of an entry, in the order of *metadata*."""
    return b"".join(
        field(0x1A, field(0x0A, name.encode()) + field(0x12, value.encode())) for name, value in metadata.items()
    )


def encode_entry(at_ns: int, line: bytes, metadata: bytes = b"") -> bytes:
    """Return the entries field of a stream with one entry; *line* is valid UTF-8, *metadata* from encode_metadata."""
    time = encode_time(at_ns)
    head = b"\x12" + varint(len(line)) if line else b""
    # The line is copied once.
    size = len(time) + len(head) + len(line) + len(metadata)
    return b"".join((b"\x12", varint(size), time, head, line, metadata))


def encode_stream(labels: str, entries: bytes) -> bytes:
    """Return the streams field of a request: a stream whose entries are encoded already, one behind the other."""
    return field(0x0A, field(0x0A, labels.encode()) + entries)


def compress(request: bytes) -> bytes:
    """Return a request's streams as the body of a push: snappy in its block format, not framed."""
    return bytes(cramjam.snappy.compress_raw(request))


class Span(NamedTuple):
    """Where one entry, key and length included, lies in a stream's encoded entries."""

    start: int
    end: int


def spans_of(entries: bytes) -> Iterator[Span]:
    """Yield where each of *entries*, as encode_entry made them, lies. Raises ValueError for anything else."""
    at, size = 0, len(entries)
    while at < size:
        if entries[at] != 0x12:
            raise ValueError(f"no entry at byte {at}")
        length, inner = _varint(entries, at + 1, size)
        end = inner + length
        if end > size:
            raise ValueError(f"a torn entry at byte {at}")
        yield Span(at, end)
        at = end


def time_of(entries: bytes, span: Span) -> int:
    """Return when the entry at *span* was, nanoseconds; 0 for one without a time. Raises ValueError for a torn one."""
    _, at = _varint(entries, span.start + 1, span.end)
    while at < span.end:
        key, at = _varint(entries, at, span.end)
        if key & 7 == 2:
            length, at = _varint(entries, at, span.end)
            if at + length > span.end:
                raise ValueError(f"a torn field at byte {at}")
            if key == 0x0A:
                return _timestamp(entries, at, at + length)
            at += length
        elif key & 7 == 0:
            _, at = _varint(entries, at, span.end)
        else:
            raise ValueError(f"a field of no known kind at byte {at}")
    return 0


def _timestamp(data: bytes, at: int, end: int) -> int:
    parts = {0x08: 0, 0x10: 0}
    while at < end:
        key, at = _varint(data, at, end)
        value, at = _varint(data, at, end)
        parts[key] = value
    return parts[0x08] * _SECOND + parts[0x10]


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at *at* and where the next byte is."""
    number, shift = 0, 0
    while True:
        if at >= end or shift > 63:
            raise ValueError(f"a torn number at byte {at}")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def join_entries(entries: bytes, spans: Iterable[Span]) -> bytes:
    """Return those of *entries* that lie at *spans*."""
    return b"".join(entries[start:end] for start, end in spans)
