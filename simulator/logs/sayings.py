"""
What the programs of the pretend cluster say: ordinary requests, and in a story the lines that a person would look for.

How a program words it (JSON, logfmt, a Java stack trace, …) is in `formats.py`. Pure, but for the random source.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How serious a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One thing that a program logs."""

    level: Level
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)
    error: str = ""
    """The exception behind it, where there is one: its kind, a colon, and its text."""


_PATHS = ("/api/v1/orders", "/api/v1/cart", "/api/v1/items/4711", "/api/v1/search", "/api/v1/users/me")
_METHODS = ("GET", "GET", "GET", "POST", "PUT")


def ordinary(rng: random.Random) -> Saying:
    """Return a line of an ordinary minute: nearly always a request, now and then something slow or failed."""
    dice = rng.random()
    path, method, trace = rng.choice(_PATHS), rng.choice(_METHODS), f"{rng.getrandbits(128):032x}"
    if dice < 0.02:
        return Saying(
            level=Level.WARN,
            message="slow query",
            fields={"duration_ms": rng.randint(900, 4000), "table": "orders", "trace_id": trace},
        )
    if dice < 0.025:
        return Saying(
            level=Level.ERROR,
            message="upstream request failed",
            fields={"path": path, "status": 502, "trace_id": trace},
            error="TimeoutError: no answer within 3s",
        )
    if dice < 0.08:
        return Saying(
            level=Level.DEBUG, message="cache refreshed", fields={"entries": rng.randint(10, 900), "ttl_seconds": 300}
        )
    fields = {
        "method": method,
        "path": path,
        "status": 201 if method == "POST" else 200,
        "duration_ms": rng.randint(1, 80),
        "trace_id": trace,
    }
    return Saying(level=Level.INFO, message="request", fields=fields)


def starting(name: str, tag: str, *, restart: int) -> Sequence[Saying]:
    """Return what a program says at its start."""
    return (
        Saying(level=Level.INFO, message=f"starting {name}", fields={"version": tag, "restart": restart}),
        Saying(level=Level.INFO, message="configuration loaded", fields={"file": "/etc/app/app.yaml"}),
        Saying(level=Level.INFO, message="listening", fields={"port": 8080}),
    )


def crashing(cause: str) -> Sequence[Saying]:
    """Return the last words of a program that exits with 1; *cause* is one of CAUSES."""
    message, error = CAUSES[cause]
    return (
        Saying(level=Level.ERROR, message=message, error=error),
        Saying(level=Level.FATAL, message="cannot go on, exiting", fields={"exit_code": 1}),
    )


CAUSES: Mapping[str, tuple[str, str]] = {
    "config": (
        "invalid configuration",
        "ConfigurationError: DB_POOL_SIZE must be at least 1, got 0",
    ),
    "candidate": (
        "migration 0042 failed",
        'DatabaseError: column "discount" of relation "order_items" already exists',
    ),
    "input": (
        "input cannot be read",
        "NoSuchKey: s3://exports/missing does not exist",
    ),
    "defect": (
        "unhandled exception in worker",
        "NullPointerException: order.customer is null",
    ),
}
"""Why a program crashes: what it says, and the exception."""


def out_of_memory(limit: str, rng: random.Random) -> Sequence[Saying]:
    """Return what leads to an OOM kill; the kill itself comes without a word."""
    used = [rng.randint(82, 88), rng.randint(90, 94), rng.randint(96, 99)]
    warnings = [
        Saying(level=Level.WARN, message=f"heap usage at {share} %", fields={"limit": limit, "gc_pause_ms": 40 * share})
        for share in used
    ]
    return (
        *warnings,
        Saying(
            level=Level.ERROR,
            message="cannot load batch",
            fields={"rows": 250_000},
            error="OutOfMemoryError: cannot allocate 67108864 bytes",
        ),
    )


def stopping() -> Sequence[Saying]:
    """Return what a program says on SIGTERM."""
    return (
        Saying(level=Level.INFO, message="received SIGTERM, draining", fields={"connections": 3}),
        Saying(level=Level.INFO, message="stopped"),
    )


def completed(rng: random.Random) -> Sequence[Saying]:
    """Return what a job says at its end."""
    fields = {"rows": rng.randint(1_000, 90_000), "duration_ms": rng.randint(800, 9_000)}
    return (Saying(level=Level.INFO, message="finished", fields=fields),)


def reconfigured(old: str, new: str) -> Saying:
    """Return what a program says when its mounted ConfigMap has changed."""
    level = Level.WARN if new == "0" else Level.INFO
    return Saying(
        level=level,
        message="configuration changed, reloading",
        fields={"key": "DB_POOL_SIZE", "old": old, "new": new, "file": "/etc/app"},
    )


def unready() -> Saying:
    """Return what a program says whose readiness probe fails."""
    return Saying(
        level=Level.WARN,
        message="readiness check failed",
        fields={"status": 503, "reason": "connection pool exhausted", "in_use": 20, "size": 20},
    )
