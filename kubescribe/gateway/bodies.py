"""
A request's body as its headers say it is: Content-Encoding and Content-Type, as Loki takes them. Pure.

Push (pkg/loghttp/push/push.go): application/json is JSON, everything else protobuf in snappy's block format;
Content-Encoding may be absent, `snappy` (which says nothing), `gzip` or `deflate` (without zlib's header), around
either. OTLP (otlp.go): application/x-protobuf or application/json; absent or gzip.
"""

import zlib
from typing import Literal, cast

import cramjam
from isal import isal_zlib

from kubescribe.gateway.errors import BadPush, TooLarge

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
_MAX_MEMBERS = 1000
_PIECE_BYTES = 64 * 1024
"""Of a packed body at a time: behind the end of each member zlib copies what is left of its piece."""

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}


_ERRORS: tuple[type[Exception], ...] = (zlib.error, cast("type[Exception]", isal_zlib.error))


def media_type(content_type: str) -> str:
    """Return the type alone; "" for a header that is not there, which Loki's clients may leave out."""
    return content_type.partition(";")[0].strip().lower()


def unwrapped(body: bytes, encoding: str, max_bytes: int, *, api: Literal["loki", "otlp"] = "loki") -> bytes:
    """Return *body* without its Content-Encoding. Raises BadPush, or TooLarge beyond *max_bytes*."""
    if encoding == "" or (encoding == "snappy" and api == "loki"):
        return body
    if encoding not in _WINDOWS or (encoding == "deflate" and api == "otlp"):
        raise BadPush(f"Content-Encoding {encoding[:40]!r} not supported")
    try:
        return _inflated(body, _WINDOWS[encoding], max_bytes)
    except _ERRORS as error:
        if encoding == "deflate":
            # HTTP means zlib's format by the word (RFC 9110), Go's compress/flate the bare one: both are sent.
            try:
                return _inflated(body, zlib.MAX_WBITS, max_bytes)
            except _ERRORS:
                pass
        raise BadPush(f"the body is no {encoding}: {error}") from error


def unpacked(body: bytes, max_bytes: int, *, into: bytearray | None = None) -> memoryview:
    """
    Return what snappy's block format holds, in *into* where that is large enough.

    Memory that was just used is in the processor's cache and need not be cleared first: half of the time. Raises
    BadPush, or TooLarge beyond *max_bytes*.
    """
    try:
        # The length is told in the first bytes: a lie must not make us allocate.
        length = cramjam.snappy.decompress_raw_len(body)
        if length > max_bytes:
            raise TooLarge(f"the body holds {length} bytes, {max_bytes} are taken (gateway.maxBodyBytes)")
        if into is None or length > len(into):
            return memoryview(cramjam.snappy.decompress_raw(body))
        return memoryview(into)[: cramjam.snappy.decompress_raw_into(body, into)]
    except cramjam.DecompressionError as error:
        raise BadPush(f"the body is not in snappy's block format: {error}") from error


def _inflated(body: bytes, window: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    at = size = members = 0
    left = b""
    inflater = isal_zlib.decompressobj(window)
    while True:
        if inflater.eof:
            left = inflater.unused_data
            # Members may follow one another in gzip (RFC 1952); what follows a deflated body is none.
            if window < 16 or (not left and at >= len(body)):
                return b"".join(parts)
            members += 1
            if members >= _MAX_MEMBERS:
                raise BadPush(f"the body has more than {_MAX_MEMBERS} members of gzip")
            inflater = isal_zlib.decompressobj(window)
        if not left:
            if at >= len(body):
                raise zlib.error("it ends too early")
            left = body[at : at + _PIECE_BYTES]
            at += len(left)
        data = inflater.decompress(left, max_bytes + 1 - size)
        left = inflater.unconsumed_tail
        parts.append(data)
        size += len(data)
        if size > max_bytes:
            raise TooLarge(f"the body holds more than the {max_bytes} bytes that are taken (gateway.maxBodyBytes)")
