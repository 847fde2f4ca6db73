"""
Loki's push as protobuf: a request's bytes → streams. Pure.

Checked as a whole and then cut, not decoded: one broken entry would make Loki refuse every other entry that is sent
with it. Texts that are no UTF-8 are repaired, which Loki itself lets pass and what reads it later does not.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from kubescribe.gateway.entries import Unusual, look
from kubescribe.gateway.errors import BadPush
from kubescribe.gateway.messages import LoosePush, Push
from kubescribe.gateway.parts import check_messages, messages_in
from kubescribe.gateway.streams import PIECE_BYTES, Incoming, pieces_of, read_length, streams_in
from kubescribe.loki.encoding import field

_STREAM = 0x0A
_LENGTH_DELIMITED = 2


def streams_of(request: bytes | memoryview) -> tuple[bytes | memoryview, list[Incoming]]:
    """
    Return the streams of *request* that have entries, and the bytes that hold exactly these, in this order.

    Where nothing had to be put right those bytes are *request* itself. Raises BadPush.
    """
    if (found := _cut(request)) is not None:
        return request, found
    return put_right(request)


def put_right(request: bytes | memoryview) -> tuple[bytes, list[Incoming]]:
    """Return what `streams_of` does of a *request* that is Unusual. Raises BadPush."""
    try:
        message = Push.FromString(request)
    except DecodeError:
        message = _repaired(request)
    written = _canonical(message)
    if (found := _cut(written)) is None:
        raise BadPush("a stream has no labels")
    return written, found


def streams_of_large(request: bytes | memoryview) -> Iterator[Incoming]:
    """
    Yield the streams of a large *request* in pieces, each of which is checked by itself. Raises BadPush, TooLarge.

    The parser's messages take more memory than the request; only those of a piece are there at a time. Raises TooLarge
    for more than are decoded at all.
    """
    at = 0
    messages = [0]
    while at < len(request):
        tag, start = _length(request, at)
        length, start = _length(request, start)
        at = start + length
        if tag & 7 != _LENGTH_DELIMITED or at > len(request):
            raise BadPush(f"the body is no push request in protobuf: no stream ends at byte {at}")
        if tag == _STREAM:
            yield from _pieces(request[start:at], messages)


def _pieces(stream: bytes | memoryview, messages: list[int]) -> Iterator[Incoming]:
    """Yield the pieces of a stream; *messages* is the number of those in the streams before, and is added to."""
    labels, rest = b"", 0
    if stream[:1] == b"\x0a":
        length, start = _length(stream, 1)
        rest = start + length
        labels = bytes(stream[start:rest])
    entries = bytes(stream[rest:])
    messages[0] += messages_in(entries)
    check_messages(messages[0])
    try:
        pieces = [piece for piece, _ in pieces_of(entries, PIECE_BYTES)] if labels else []
    except ValueError:
        # Something else lies among them: a parser has to look at the whole.
        pieces = []
    if not pieces:
        yield from streams_of(field(_STREAM, bytes(stream)))[1]
        return
    del entries, stream
    pieces.reverse()
    while pieces:
        yield from streams_of(field(_STREAM, field(0x0A, labels) + pieces.pop()))[1]


def _length(data: bytes | memoryview, at: int) -> tuple[int, int]:
    try:
        return read_length(data, at)
    except ValueError as error:
        raise BadPush(f"the body is no push request in protobuf: {error}") from error


def checked(request: bytes | memoryview) -> Iterator[Incoming]:
    """
    Yield the streams as they lie in *request*. Raises Unusual where something is not as Loki's clients write it.

    Each is looked at by itself, when it is asked for: a stream and what a parser makes of it fit into a processor's
    cache, a push does not.
    """
    try:
        for labels, entries in streams_in(request):
            looked = look(entries)
            yield Incoming(
                str(labels, "utf-8"),
                entries,
                looked.count,
                looked.first_at,
                looked.last_at,
                may_have_metadata=looked.may_have_metadata,
            )
    except ValueError as error:
        raise Unusual(str(error)) from error


def _cut(request: bytes | memoryview) -> list[Incoming] | None:
    try:
        return list(checked(request))
    except Unusual:
        return None


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
