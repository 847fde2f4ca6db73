"""
Messages to bytes on a connection: unmasked, uncompressed websocket text frames, or server-sent events in HTTP chunks.

The head of a `delta` (id, prev) is a client's own, its tail (seq, items) is shared by all that hear the same; a framing
puts both into one frame. Pure: nothing here knows a socket.

Frames are written to the transport directly, beside aiohttp's own writer. That is safe as long as both write whole
frames in one synchronous step and nothing is compressed (RFC 7692 keeps state from frame to frame): aiohttp's writer
does so too, control frames included.
"""

from functools import lru_cache
from typing import Protocol

import msgspec

_TEXT_FRAME = 0x81
_PING_FRAME = b"\x89\x00"

encode_text = msgspec.json.Encoder().encode


class Framing(Protocol):
    """How a message becomes bytes on one kind of connection. Equal framings share their frames."""

    def message(self, message: bytes, seq: int | None = None) -> bytes:
        """Return *message* framed; *seq* is the resume point that it establishes, if it does."""
        ...

    def opening(self, head: bytes, tail: bytes, seq: int) -> bytes:
        """Return what stands before *tail* so that opening + tail + closing is the frame of head + tail."""
        ...

    @property
    def closing(self) -> bytes:
        """What stands after a shared tail."""
        ...

    def beat(self, time: str) -> bytes:
        """Return a sign of life."""
        ...


class WebSocketFraming:
    """RFC 6455 text frames of a server."""

    closing = b""

    def beat(self, time: str) -> bytes:
        """Return a ping that the peer's library answers, and one for its page: a browser shows no protocol pings."""
        return _PING_FRAME + self.message(b'{"type":"ping","t":"%b"}' % time.encode())

    def message(self, message: bytes, seq: int | None = None) -> bytes:
        """Return one text frame."""
        del seq
        return _header(len(message)) + message

    def opening(self, head: bytes, tail: bytes, seq: int) -> bytes:
        """Return the frame's header and *head*."""
        del seq
        return _header(len(head) + len(tail)) + head


class EventStreamFraming:
    """Server-sent events, each in one chunk of HTTP/1.1's chunked coding; `id:` is the resume point."""

    closing = b"\n\n\r\n"

    def beat(self, time: str) -> bytes:
        """Return a comment."""
        event = b": heartbeat %b\n\n" % time.encode()
        return b"%x\r\n%b\r\n" % (len(event), event)

    def message(self, message: bytes, seq: int | None = None) -> bytes:
        """Return one event; only a resume point gets an id, so that `Last-Event-ID` never runs ahead."""
        event = b"data: " + message + b"\n\n" if seq is None else b"id: %d\ndata: %b\n\n" % (seq, message)
        return b"%x\r\n%b\r\n" % (len(event), event)

    def opening(self, head: bytes, tail: bytes, seq: int) -> bytes:
        """Return the chunk's size, the event's id and *head*."""
        event = b"id: %d\ndata: %b" % (seq, head)
        return b"%x\r\n%b" % (len(event) + len(tail) + 2, event)


def _header(length: int) -> bytes:
    if length < 126:
        return bytes((_TEXT_FRAME, length))
    if length < 65536:
        return bytes((_TEXT_FRAME, 126)) + length.to_bytes(2, "big")
    return bytes((_TEXT_FRAME, 127)) + length.to_bytes(8, "big")


@lru_cache(maxsize=1024)
def _quoted(text: str) -> bytes:
    return encode_text(text)


def delta_head(subscription: str, prev: int) -> bytes:
    """Return a delta's own part."""
    return b'{"type":"delta","id":%b,"prev":%d,' % (_quoted(subscription), prev)


def delta_tail(seq: int, items: list[bytes]) -> bytes:
    """Return a delta's shared part: *items* are finished JSON, *seq* is the last one's."""
    return b'"seq":%d,"items":[%b]}' % (seq, b",".join(items))


def bookmark(subscription: str, seq: int, time: str) -> bytes:
    """Return a bookmark: everything up to *seq* has been said."""
    return b'{"type":"bookmark","id":%b,"seq":%d,"time":"%b"}' % (_quoted(subscription), seq, time.encode())


def snapshot(subscription: str, seq: int, items: list[bytes], *, more: bool) -> bytes:
    """Return a part of a snapshot taken at *seq*."""
    return b'{"type":"snapshot","id":%b,"seq":%d,"more":%b,"items":[%b]}' % (
        _quoted(subscription),
        seq,
        b"true" if more else b"false",
        b",".join(items),
    )


def snapshot_end(subscription: str, seq: int) -> bytes:
    """Return the end of a snapshot; deltas go on from *seq*."""
    return b'{"type":"snapshotEnd","id":%b,"seq":%d}' % (_quoted(subscription), seq)
