"""
Lines of a program as records of a container log: what a container runtime writes. Pure.

As containerd (internal/cri/io/logger.go): one record a line, `timestamp stream tag content`; more than 16 KiB of a line
become records tagged P with a time of their own, of which the last is tagged F; what a program wrote last without a
line feed is a P that no F follows.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

MAX_CONTENT_BYTES = 16 * 1024
"""containerd's max_container_log_line_size."""

NANOS = 1_000_000_000


class Runtime(StrEnum):
    """Whose timestamps they are."""

    CONTAINERD = "containerd"
    """Go's RFC3339Nano: trailing zeros of the fraction are left out, `Z` in UTC."""
    CRIO = "cri-o"
    """Nine digits and a numeric offset, always."""


class Clock:
    """Times of records: never twice the same, never backwards."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._last = 0

    def next(self) -> int:
        """Return the time of the next record, nanoseconds since 1970."""
        self._last = max(self._now_ns(), self._last + 1)
        return self._last


class Format:
    """How one node writes its records."""

    def __init__(
        self,
        runtime: Runtime = Runtime.CONTAINERD,
        *,
        offset: timedelta = timedelta(0),
        max_content_bytes: int = MAX_CONTENT_BYTES,
    ) -> None:
        self._runtime = runtime
        self._zone = timezone(offset)
        self._max_content_bytes = max_content_bytes
        self._second = -1
        self._prefix = ""
        self._suffix = ""

    def timestamp(self, at_ns: int) -> str:
        """Return *at_ns* as the runtime writes it."""
        second, fraction = divmod(at_ns, NANOS)
        if second != self._second:
            at = datetime.fromtimestamp(second, UTC).astimezone(self._zone)
            text = at.strftime("%Y-%m-%dT%H:%M:%S%z")
            self._second, self._prefix = second, text[:19]
            is_bare = self._runtime is Runtime.CONTAINERD and text[19:] == "+0000"
            self._suffix = "Z" if is_bare else f"{text[19:22]}:{text[22:24]}"
        digits = f".{fraction:09d}"
        if self._runtime is Runtime.CONTAINERD:
            digits = digits.rstrip("0").rstrip(".")
        return self._prefix + digits + self._suffix

    def records(self, lines: Iterable[bytes], stream: str, clock: Clock, *, ended: bool = True) -> list[bytes]:
        """Return the records of *lines*; if not *ended*, the last line never got its line feed."""
        found: list[bytes] = []
        for line in lines:
            self._add(found, line, stream, clock)
        if not ended and found:
            # The tag stands behind timestamp and stream, which hold no other blank.
            at, name, _, content = found[-1].split(b" ", 3)
            found[-1] = b" ".join((at, name, b"P", content))
        return found

    def _add(self, found: list[bytes], line: bytes, stream: str, clock: Clock) -> None:
        limit = self._max_content_bytes
        if b"\n" in line:
            raise ValueError("a line holds no line feed")
        while len(line) > limit:
            found.append(f"{self.timestamp(clock.next())} {stream} P ".encode() + line[:limit] + b"\n")
            line = line[limit:]
        found.append(f"{self.timestamp(clock.next())} {stream} F ".encode() + line + b"\n")
