"""
Loki's push as protobuf: a request's bytes → streams. Pure.

Checked as a whole and then cut, not decoded: one broken entry would make Loki refuse every other entry that is sent
with it. Texts that are no UTF-8 are repaired, which Loki itself lets pass and what reads it later does not.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.messages import LoosePush, Push
from kubescribe.gateway.streams import PIECE_BYTES, Incoming, pieces_of, read_length, regions_of, times_of
from kubescribe.loki.encoding import field

_STREAM = 0x0A
_LENGTH_DELIMITED = 2


def streams_of(request: bytes | memoryview) -> tuple[bytes | memoryview, list[Incoming]]:
    """
    Return the streams of *request* that have entries, and the bytes that hold exactly these, in this order.

    Where nothing had to be put right those bytes are *request* itself. Raises BadPush.
    """
    try:
        message = Push.FromString(request)
    except DecodeError:
        message = _repaired(request)
        request = _canonical(message)
    if any(stream.hash or not stream.entries for stream in message.streams) or message.format:
        request = _canonical(message)
    found = _cut(request, message)
    if found is None:
        request = _canonical(message)
        found = _cut(request, message) or []
    return request, found


def streams_of_large(request: bytes | memoryview) -> Iterator[Incoming]:
    """
    Yield the streams of a large *request* in pieces, each of which is checked by itself. Raises BadPush.

    The parser's messages take more memory than the request; only those of a piece are there at a time.
    """
    at = 0
    while at < len(request):
        tag, start = _length(request, at)
        length, start = _length(request, start)
        at = start + length
        if tag & 7 != _LENGTH_DELIMITED or at > len(request):
            raise BadPush(f"the body is no push request in protobuf: no stream ends at byte {at}")
        if tag == _STREAM:
            yield from _pieces(request[start:at])


def _pieces(stream: bytes | memoryview) -> Iterator[Incoming]:
    if stream[:1] == b"\x0a":
        length, start = _length(stream, 1)
        labels, entries = bytes(stream[start : start + length]), bytes(stream[start + length :])
        try:
            # Whatever is wrong with them, they are as they came where they have to be looked at as a whole.
            pieces = [piece for piece, _ in pieces_of(entries, PIECE_BYTES)]
        except ValueError:
            pieces = []
        if pieces:
            del entries, stream
            pieces.reverse()
            while pieces:
                yield from streams_of(field(_STREAM, field(0x0A, labels) + pieces.pop()))[1]
            return
    yield from streams_of(field(_STREAM, bytes(stream)))[1]


def _length(data: bytes | memoryview, at: int) -> tuple[int, int]:
    try:
        return read_length(data, at)
    except ValueError as error:
        raise BadPush(f"the body is no push request in protobuf: {error}") from error


def _cut(request: bytes | memoryview, message: Any) -> list[Incoming] | None:
    """Return the streams as they lie in *request*, None where they do not lie there as Loki's clients write them."""
    try:
        regions = list(regions_of(request))
    except ValueError:
        return None
    if len(regions) != len(message.streams):
        return None
    return [
        Incoming(stream.labels, region, len(stream.entries), *times_of(stream.entries))
        for stream, region in zip(message.streams, regions, strict=True)
    ]


def _canonical(message: Any) -> bytes:
    """Drop from *message* what is no stream with entries, and return it as our encoder would write it."""
    message.DiscardUnknownFields()
    message.ClearField("format")
    kept = [stream for stream in message.streams if stream.entries]
    for stream in kept:
        stream.ClearField("hash")
    if len(kept) != len(message.streams):
        whole = Push(streams=kept)
        message.CopyFrom(whole)
    written: bytes = message.SerializeToString()
    return written


def _repaired(request: bytes | memoryview) -> Any:
    try:
        loose = LoosePush.FromString(request)
    except DecodeError as error:
        raise BadPush(f"the body is no push request in protobuf: {error}") from error
    message = Push()
    for stream in loose.streams:
        made = message.streams.add(labels=_text(stream.labels))
        for entry in stream.entries:
            copy = made.entries.add(line=_text(entry.line))
            copy.time.seconds, copy.time.nanos = entry.time.seconds, entry.time.nanos
            for pair in entry.metadata:
                copy.metadata.add(name=_text(pair.name), value=_text(pair.value))
    return message


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
