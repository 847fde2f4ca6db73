"""What is sent to Loki and what became of it, as the sender and those who use it agree."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec


class Push(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Some entries of one stream, in order, encoded once and for all.

    `labels` is the stream's selector text, `entries` what encode_entry made, one behind the other, `count` of them.
    `content_bytes` are lines and structured metadata, which is what Loki's rate limits count. Times are those of the
    earliest and latest entry, nanoseconds. `tenant` is X-Scope-OrgID, "" for the configured one.
    """

    labels: str
    entries: bytes
    count: int
    content_bytes: int
    first_at: int
    last_at: int
    tenant: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    What became of a push, finally: `accepted` entries are in Loki, `rejected` ones never will be, by reason.

    Reasons are Loki's own words (`too_far_behind`, `greater_than_max_sample_age`, `line_too_long`, …) as in its metric
    loki_discarded_samples_total. Where Loki does not tell which entries it dropped, the counts are its own.
    """

    accepted: int
    rejected: Mapping[str, int] = {}


class Sender(Protocol):
    """
    The way to Loki: what was submitted is sent until Loki has it or refused it for good, however long that takes.

    Pushes of one stream and tenant arrive in the order in which they were submitted, streams do not wait for each
    other.
    """

    async def submit(self, push: Push) -> "asyncio.Future[Outcome]":
        """Queue *push*, as soon as there is room in memory for it; the future is done when its fate is final."""
        ...

    def withdraw(self, outcome: "asyncio.Future[Outcome]") -> bool:
        """
        Take back a push that waits, by what `submit` returned, which is cancelled.

        False where a request carries it just now, or where a part of it has another fate than the rest: it stays. Of a
        stream, the last one submitted is to be taken back first.
        """
        ...
