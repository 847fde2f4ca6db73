"""
What a client of the feed says: decoded, bounded, every failure a BadMessage with a code.

Messages to the client are built in outlets/frames.py, where they are shared.
"""

from typing import Any

import msgspec

from aggregator.logs.asking import LogQuery
from aggregator.outlets.catchup import Origin
from aggregator.outlets.filters import TOPICS, Filter
from aggregator.web.logqueries import read_query
from aggregator.web.parameters import FILTER, MAX_SEQ, TAIL, BadParameter
from kubescribe.wire.times import from_rfc3339

MAX_ID = 64


class BadMessage(Exception):
    """A message that cannot be obeyed; `code` is from a closed list, `id` the subscription where it was told."""

    def __init__(self, code: str, message: str, id: str | None = None) -> None:  # noqa: A002 (the wire's word)
        super().__init__(message)
        self.code = code
        self.id = id


class _FromClient(msgspec.Struct, tag_field="type", rename="camel", frozen=True):
    pass


class Resume(msgspec.Struct, rename="camel", frozen=True):
    """Where the client was: in which journal, and the resume point of each subscription."""

    journal_id: str
    subs: dict[str, int] = {}


class Hello(_FromClient, tag="hello", frozen=True):
    """The client introduces itself."""

    token: str | None = None
    client: str = ""
    resume: Resume | None = None


class Subscribe(_FromClient, tag="subscribe", frozen=True):
    """The client wants to hear a topic, under an id of its own choice."""

    id: str
    topic: str
    filter: dict[str, Any] | None = None
    origin: int | str | None = msgspec.field(name="from", default=None)
    snapshot: bool = False


class Update(_FromClient, tag="update", frozen=True):
    """Another filter for a subscription, from where it is."""

    id: str
    filter: dict[str, Any] | None = None


class Unsubscribe(_FromClient, tag="unsubscribe", frozen=True):
    """No more of this."""

    id: str


class Ping(_FromClient, tag="ping", frozen=True):
    """Asks for a pong with the same `t`."""

    t: msgspec.Raw = msgspec.Raw(b"null")


class Pong(_FromClient, tag="pong", frozen=True):
    """Answers our ping."""


FromClient = Hello | Subscribe | Update | Unsubscribe | Ping | Pong

_DECODER = msgspec.json.Decoder(FromClient)


def decode_message(data: bytes) -> FromClient:
    """Return the message in *data*. Raises BadMessage."""
    try:
        message: FromClient = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage("badMessage", str(error)[:256]) from error
    identifier = getattr(message, "id", None)
    if identifier is not None and not 1 <= len(identifier) <= MAX_ID:
        raise BadMessage("badMessage", f"id: expected 1 to {MAX_ID} characters", identifier[:MAX_ID])
    return message


def read_topic(topic: str, subscription: str) -> str:
    """Return *topic* when there is such a one. Raises BadMessage."""
    if topic not in TOPICS:
        raise BadMessage(
            "unknownTopic", f"topic={topic[:64]!r}: expected one of: {', '.join((*TOPICS, 'logs'))}", subscription
        )
    return topic


def read_filter(values: dict[str, Any] | None, subscription: str) -> Filter:
    """Return the filter that *values* says; null and "" mean any. Raises BadMessage."""
    try:
        return Filter(**FILTER.read(_pairs(values, subscription)))
    except BadParameter as error:
        raise BadMessage("badFilter", str(error), subscription) from error


def read_tail(values: dict[str, Any] | None, subscription: str, now: int) -> LogQuery:
    """Return the question about lines that a filter of the topic `logs` asks at the time *now*. Raises BadMessage."""
    try:
        return read_query({**TAIL.read(_pairs(values, subscription)), "follow": True}, now)
    except BadParameter as error:
        raise BadMessage("badFilter", str(error), subscription) from error


def _pairs(values: dict[str, Any] | None, subscription: str) -> list[tuple[str, str]]:
    pairs = []
    for name, value in (values or {}).items():
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise BadMessage("badFilter", f"{name[:64]}: expected text", subscription)
        pairs.append((name, value))
    return pairs


def read_origin(value: int | str | None) -> Origin:
    """Return where a feed begins: a seq, a time, or now (None too). Raises BadParameter."""
    if value is None or value == "now":
        return Origin()
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        try:
            return Origin(time=from_rfc3339(value))
        except ValueError as error:
            raise BadParameter("from", value, "a seq, an RFC 3339 time or now") from error
    if len(str(value)) > 19 or not 0 <= int(value) <= MAX_SEQ:
        raise BadParameter("from", str(value), f"a seq from 0 to {MAX_SEQ}, an RFC 3339 time or now")
    return Origin(seq=int(value))
