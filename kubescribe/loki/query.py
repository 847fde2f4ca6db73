"""Asking Loki for lines: one bounded `query_range`. Not what is done with them."""

from typing import Literal, NamedTuple

import msgspec

from kubescribe.loki.client import LokiClient
from kubescribe.loki.errors import LokiRefused

QUERY_PATH = "/loki/api/v1/query_range"

MAX_LINES = 5000
"""Loki's own limit (max_entries_limit_per_query)."""


class Found(NamedTuple):
    """One line as Loki gives it: `labels` are those of its stream together with its structured metadata."""

    at_ns: int
    line: str
    labels: dict[str, str]


class _Stream(msgspec.Struct, gc=False):
    stream: dict[str, str]
    values: list[list[msgspec.Raw]]


class _Data(msgspec.Struct, gc=False, rename="camel"):
    result_type: str
    result: list[_Stream]


class _Answer(msgspec.Struct, gc=False):
    data: _Data


_ANSWER = msgspec.json.Decoder(_Answer)
_TEXT = msgspec.json.Decoder(str)


async def query_range(
    client: LokiClient,
    query: str,
    *,
    start_ns: int,
    end_ns: int,
    limit: int = 1000,
    direction: Literal["forward", "backward"] = "forward",
    tenant: str = "",
    max_bytes: int = 32 * 2**20,
    seconds: float = 30.0,
) -> list[Found]:
    """
    Return at most *limit* lines that *query* (LogQL, of lines) finds from *start_ns* to before *end_ns*.

    They are in the order of time, ascending for `forward`; lines of equal time stay in Loki's order. Raises
    LokiUnreachable (also when the answer is larger than *max_bytes* or takes longer), LokiRefused,
    CredentialsUnusable.
    """
    params = {
        "query": query,
        "start": str(start_ns),
        "end": str(end_ns),
        "limit": str(max(1, min(limit, MAX_LINES))),
        "direction": direction,
    }
    status, body = await client.get(QUERY_PATH, params, tenant=tenant, max_bytes=max_bytes, seconds=seconds)
    if status != 200:
        raise LokiRefused(status, body[:1024].decode("utf-8", "replace"))
    try:
        found = _lines(_ANSWER.decode(body))
    except (msgspec.DecodeError, ValueError) as error:
        raise LokiRefused(status, f"which is no list of streams: {error}") from error
    found.sort(key=lambda it: it.at_ns, reverse=direction == "backward")
    return found[:limit]


def _lines(answer: _Answer) -> list[Found]:
    if answer.data.result_type != "streams":
        raise ValueError(f"resultType {answer.data.result_type[:64]!r}")
    found: list[Found] = []
    for stream in answer.data.result:
        for value in stream.values:
            if len(value) < 2:
                raise ValueError("a value without a line")
            found.append(Found(int(_TEXT.decode(value[0])), _TEXT.decode(value[1]), stream.stream))
    return found
