"""The clock as an argument: what time it is, and how long something took. Not for sleeping."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two times that are never mixed."""

    def now_ns(self) -> int:
        """Return the wall time, nanoseconds since the Unix epoch; it can jump in both directions."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment of the past; it never goes back."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        """Return the wall time, nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return the seconds of the monotonic clock."""
        return time.monotonic()
