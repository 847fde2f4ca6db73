"""
How many values a body may decode to, counted in its bytes before it is decoded. Pure.

Two bytes of protobuf or three of JSON become a value of 64 to 170: a body of nothing else would take forty times its
size in memory, and a few kilobytes of gzip make such a body. So what cannot be an honest shipper's is not decoded.
"""

from collections.abc import Sequence

from kubescribe.gateway.errors import TooLarge

MAX_LINES = 1_000_000
"""Of Loki's JSON, 170 bytes of memory each; 29 MB of Fluent Bit are 70,000."""

MAX_OBJECTS = 2_000_000
"""Of OTLP's JSON, 100 bytes each."""

MAX_MESSAGES = 4_000_000
"""Of protobuf, 64 bytes each."""

MAX_STREAMS = 20_000
"""Of one push: four times what Loki lets a tenant have (max_streams_per_user)."""

_SMALL_BYTES = 4 * 2**20
"""Of protobuf fewer messages than may be, whatever is in it, and of Loki's JSON fewer lines."""

_PUSH = (0x0A, 0x12, 0x1A)
_OTLP = (*_PUSH, 0x2A, 0x32)
"""The keys of the fields that are messages; they are ordinary bytes as well, so more is counted than there is."""


def messages_in(body: bytes) -> int:
    """Return how many messages *body*, a part of a push in protobuf, holds at most."""
    return _messages(body, _PUSH)


def check_messages(count: int) -> None:
    """Raise TooLarge for more messages of a push than are decoded."""
    _check(count, MAX_MESSAGES, "messages")


def check_otlp(body: bytes) -> None:
    """Raise TooLarge for a request of OTLP in protobuf that may hold more messages than are decoded."""
    if len(body) > _SMALL_BYTES:
        _check(_messages(body, _OTLP), MAX_MESSAGES, "messages")


def check_loki_json(body: bytes) -> None:
    """Raise TooLarge for a push that may hold more lines than are decoded: a time and a text each, in quotes."""
    if len(body) <= _SMALL_BYTES:
        return
    _check((body.count(b'"') - body.count(b'\\"')) // 4, MAX_LINES, "lines")


def check_otlp_json(body: bytes) -> None:
    """Raise TooLarge for a request that may hold more objects than are decoded."""
    _check(body.count(b"{"), MAX_OBJECTS, "objects")


def check_streams(count: int) -> None:
    """Raise TooLarge for more streams than one push may have."""
    if count > MAX_STREAMS:
        raise TooLarge(f"the push has {count} streams, {MAX_STREAMS} are taken at once")


def _messages(body: bytes, keys: Sequence[int]) -> int:
    # A key may be written longer than need be, and parsers take it.
    long = sum(body.count(bytes((key | 0x80, more))) for key in keys for more in (0x00, 0x80))
    return sum(map(body.count, keys)) + long


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise TooLarge(f"the body holds about {count} {what}, {most} are taken at once")
