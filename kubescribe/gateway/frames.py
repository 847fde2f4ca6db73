"""
What the gateway's spool keeps of a push. Pure; framing with length and checksum is kubescribe.runtime.framing's.

    payload = n u64, head length u32, head, request
    head    = Head as MessagePack
    request = Loki's push request with the entries as they came, snappy's block format

The names under which the streams go on lie in the head, made once: a resend after a crash makes the same bytes of them,
whatever has become of the pods meanwhile. A large body is several frames, the last of which says so; a crash between
them leaves none, for nothing of it was acknowledged.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from kubescribe.gateway.bodies import unpacked
from kubescribe.gateway.entries import append_metadata
from kubescribe.gateway.streams import pieces_of, regions_of
from kubescribe.loki.pushes import Push

_FIXED = struct.Struct(">QI")
MIN_PAYLOAD_BYTES = _FIXED.size
MAX_PAYLOAD_BYTES = 2**31
MAX_PUSH_BYTES = 256 * 1024
"""The least that a stream which Loki holds up keeps in memory; a request has room for several."""

_ENTRY_OVERHEAD = 12
"""Of an entry that is neither line nor metadata: time and headers are at least so much."""


class Frozen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the stream at the same place of the request goes on; `metadata` is encoded, the times are ns."""

    labels: str
    metadata: bytes
    count: int
    first_at: int
    last_at: int


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """
    What belongs to a frame. `digest` is of the tenant and body that it came from, `at` when it came, ns.

    `lines` are the entries of all streams, and `is_last` tells the last frame of a body.
    """

    at: int
    tenant: str
    digest: bytes
    streams: tuple[Frozen, ...]
    lines: int
    is_last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame of the spool; `made` are the entries of its streams as they go on, as long as they are in memory."""

    n: int
    head: Head
    request: bytes
    made: tuple[bytes, ...] = ()

    @property
    def memory_bytes(self) -> int:
        """What the frame takes."""
        return len(self.request) + sum(map(len, self.made))


_ENCODE = msgspec.msgpack.Encoder().encode
_HEAD = msgspec.msgpack.Decoder(Head)


def encode_payload(n: int, head: Head, request: bytes) -> tuple[bytes, bytes]:
    """Return the payload of a frame, in two parts."""
    encoded = _ENCODE(head)
    return _FIXED.pack(n, len(encoded)) + encoded, request


def decode_payload(payload: memoryview) -> Frame | None:
    """Return the frame of *payload*, None when it is none."""
    n, length = _FIXED.unpack_from(payload)
    at = _FIXED.size + length
    if n == 0 or at > len(payload):
        return None
    try:
        head = _HEAD.decode(payload[_FIXED.size : at])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return Frame(n=n, head=head, request=bytes(payload[at:]))


def pushes_of(frame: Frame, *, max_bytes: int = MAX_PUSH_BYTES) -> Iterator[Push]:
    """
    Yield what *frame* says to Loki, the same bytes each time; a stream of more than *max_bytes* in pieces.

    `content_bytes` is what Loki counts, or a little more: what it charges for is not looked for in every entry. The
    times of a piece are those of its stream.
    """
    for frozen, made in zip(frame.head.streams, frame.made or _made(frame), strict=True):
        pieces = pieces_of(made, max_bytes) if len(made) > max_bytes else ((made, frozen.count),)
        for piece, count in pieces:
            yield Push(
                labels=frozen.labels,
                entries=piece,
                count=count,
                content_bytes=max(len(piece) - _ENTRY_OVERHEAD * count, 0),
                first_at=frozen.first_at,
                last_at=frozen.last_at,
                tenant=frame.head.tenant,
            )


def _made(frame: Frame) -> Iterator[bytes]:
    regions = regions_of(unpacked(frame.request, MAX_PAYLOAD_BYTES))
    for frozen, entries in zip(frame.head.streams, regions, strict=True):
        yield append_metadata(entries, frozen.metadata)
