"""Finished JSON to answers: the envelope of lists, gzip where it pays."""

import asyncio
import gzip
from collections.abc import Sequence

import msgspec
from aiohttp import hdrs, web

from kubescribe.runtime.probing import GZIP_FROM_BYTES, accepts_gzip

_THREAD_FROM_BYTES = 64 * 1024
"""gzip at level 1 makes ~100 MB/s: above this size it would hold the loop for more than a millisecond."""

encode = msgspec.json.Encoder().encode


def render_list(items: Sequence[bytes], *, next_path: str | None, complete: bool, gaps: Sequence[bytes]) -> bytes:
    """Return `{items, next, complete, gaps}` from finished JSON."""
    return b'{"items":[%b],"next":%b,"complete":%b,"gaps":[%b]}' % (
        b",".join(items),
        encode(next_path),
        b"true" if complete else b"false",
        b",".join(gaps),
    )


def with_completeness(item: bytes, gaps: Sequence[bytes]) -> bytes:
    """Return the JSON object *item*, which has fields, with `complete` and `gaps` as lists have them."""
    complete = b"false" if gaps else b"true"
    return b'%b,"complete":%b,"gaps":[%b]}' % (item[:-1], complete, b",".join(gaps))


async def answer_json(request: web.Request, body: bytes, *, content_type: str = "application/json") -> web.Response:
    """Return *body* as the answer, compressed where the client takes it and it is large."""
    headers: dict[str, str] = {hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if len(body) >= GZIP_FROM_BYTES and accepts_gzip(request):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        if len(body) >= _THREAD_FROM_BYTES:
            body = await asyncio.to_thread(gzip.compress, body, 1)
        else:
            body = gzip.compress(body, 1)
    return web.Response(body=body, content_type=content_type, headers=headers)
