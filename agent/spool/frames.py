"""
Frames: what a segment file is made of (kubescribe.runtime.framing). Pure; knows bytes, not files.

    payload  = n u64, count u32, head length u32, head, batch
    head     = FrameHead as MessagePack
    batch    = the `records` field of the link's Batch, compressed once, so that a resend is byte for byte the same

A frame holds its records' marks, so that data and resume point are written or lost together.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from agent.spool.ledger import Span
from agent.spool.marks import StreamMark
from kubescribe.runtime.framing import framed, frames_from
from kubescribe.wire.link import MAX_MESSAGE_BYTES
from kubescribe.wire.records import Gap

_FIXED = struct.Struct(">QII")
MAX_FRAME_BYTES = 2 * MAX_MESSAGE_BYTES
"""A longer length field is damage, not a frame: it must not make the reader allocate."""


class FrameHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """What the spool must know of a frame without decompressing it. `gaps` are the Gap records inside the batch."""

    spans: tuple[Span, ...] = ()
    marks: tuple[StreamMark, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: number, how many records, their head, and the batch as it goes over the link."""

    n: int
    count: int
    head: FrameHead
    batch: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame and the offset just behind it in its segment."""

    frame: Frame
    end: int


_HEAD_ENCODER = msgspec.msgpack.Encoder()
_HEAD_DECODER = msgspec.msgpack.Decoder(FrameHead)


def encode_frame(frame: Frame) -> bytes:
    """Return *frame* as it is appended to a segment."""
    head = _HEAD_ENCODER.encode(frame.head)
    payload = _FIXED.pack(frame.n, frame.count, len(head)) + head + frame.batch
    return b"".join(framed(payload))


def frames_in(data: bytes | memoryview, *, start: int = 0, after: int | None = None) -> Iterator[Placed]:
    """
    Yield the whole, undamaged frames of *data* from offset *start*, in order; stop silently at the first that is not.

    A frame whose number does not follow its predecessor's ends the sequence too. *after* is the number before the
    first, None when any may come first. What follows the last yielded `end` is a torn or damaged tail.
    """
    previous = after
    for found in frames_from(data, start, min_bytes=_FIXED.size, max_bytes=MAX_FRAME_BYTES):
        frame = _decode_payload(found.payload) if found.is_whole else None
        if frame is None or (previous is not None and frame.n != previous + 1):
            return
        yield Placed(frame, found.end)
        previous = frame.n


def _decode_payload(payload: memoryview) -> Frame | None:
    n, count, head_length = _FIXED.unpack_from(payload)
    batch_at = _FIXED.size + head_length
    if n == 0 or batch_at > len(payload):
        return None
    try:
        head = _HEAD_DECODER.decode(payload[_FIXED.size : batch_at])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return Frame(n=n, count=count, head=head, batch=bytes(payload[batch_at:]))
