"""What could not be read any more, as a Gap that people see: always a time, bytes where the file was seen. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from agent.tail.paths import Instance
from kubescribe.wire.records import MAX_INTEGER, Gap

Cause = Literal["logRotated", "logDeleted", "logTruncated", "logUnreadable", "logRefused"]
"""Rotated away, or deleted, before it was read; cut from within; damaged on disk; refused by Loki for good."""

CAUSES: tuple[Cause, ...] = ("logRotated", "logDeleted", "logTruncated", "logUnreadable", "logRefused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """
    Lines of one instance that will not come, between two times, nanoseconds.

    `at` is where in its files, so that the same loss found twice is one; `size` is None where the file was never seen.
    """

    cause: Cause
    start: int
    end: int
    at: str
    size: int | None = None
    count: int | None = None
    detail: str = ""


def stream_of(instance: Instance) -> str:
    """Return the name under which losses of *instance* are told."""
    return f"logs/{instance.namespace}/{instance.pod}/{instance.container}"


def gap_of(instance: Instance, lost: Lost) -> Gap:
    """Return the record that tells of *lost*; the same loss has the same id."""
    key = "\0".join((*map(str, instance), lost.cause, lost.at))
    start = min(max(lost.start, 0), MAX_INTEGER)
    return Gap(
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        stream=stream_of(instance),
        cause=lost.cause,
        start=start,
        to=min(max(lost.end, start), MAX_INTEGER),
        outcome="lost",
        bytes=lost.size,
        count=lost.count,
        detail=lost.detail,
    )
