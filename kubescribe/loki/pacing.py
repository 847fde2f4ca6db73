"""How much a tenant may send: nothing is held back until Loki refuses, then what it says, and less while it refuses on.

Pure arithmetic; times come in.
"""

SHARE = 0.9
"""Of the limit that Loki names: its own count and ours differ by what it adds to an entry."""

_UNKNOWN_LIMIT_BYTES = 4 * 2**20
"""Loki's default (ingestion_rate_mb), for a refusal that names none: a proxy's."""

_SLOWEST = 1 / 256
_RECOVERY = 0.05
_FREE_AFTER_SECONDS = 600.0
_SMALLEST_BYTES = 16 * 1024


class Pacer:
    """
    The allowance of one tenant.

    The limit that Loki names holds for all who send for the tenant, so it is where we begin: with each further refusal
    the pace is halved, with each request that passes it grows by a twentieth of the limit. `max_bytes` is the most that
    one request may carry: a request above Loki's burst never passes, and the burst is not told; a quarter of what a
    second allows is below any that Loki starts with.
    """

    def __init__(self, max_bytes: int) -> None:
        self._most = max_bytes
        self.max_bytes = max_bytes
        self._ceiling = 0.0
        self._pace = 0.0
        self._free_at = 0.0
        self._refused_at = 0.0

    @property
    def pace_bytes(self) -> float:
        """Content bytes a second, 0 for as many as there are."""
        return self._pace

    def seconds(self, content_bytes: int, now: float) -> float:
        """Count a request of *content_bytes* and return how long it has to wait."""
        if now - self._refused_at > _FREE_AFTER_SECONDS:
            self._pace, self.max_bytes = 0.0, self._most
        if not self._pace:
            return 0.0
        due = max(now, self._free_at)
        self._free_at = due + content_bytes / self._pace
        return due - now

    def give_back(self, content_bytes: int) -> None:
        """Take that so much was counted and is not sent."""
        if self._pace:
            self._free_at -= content_bytes / self._pace

    def refused(self, limit_bytes: int, now: float, at_least_seconds: float = 0.0) -> None:
        """Take a refusal that names *limit_bytes* a second, 0 for none, and asks for a pause of *at_least_seconds*."""
        ceiling = SHARE * (limit_bytes or _UNKNOWN_LIMIT_BYTES)
        if not self._pace:
            self._pace = ceiling
            self.max_bytes = max(_SMALLEST_BYTES, min(self._most, int(ceiling / 4)))
        elif now >= self._refused_at + 1.0:
            # Requests under way at the same time are refused together: that is one refusal.
            self._pace = max(ceiling * _SLOWEST, self._pace / 2)
            self.max_bytes = max(_SMALLEST_BYTES, self.max_bytes // 2)
        self._ceiling = ceiling
        self._pace = min(self._pace, ceiling)
        self._refused_at = now
        # What was refused counted as sent; a second's pause lets the bucket of Loki fill again.
        self._free_at = max(self._free_at, now + max(1.0, at_least_seconds))

    def passed(self) -> None:
        """Take that a request went through."""
        if self._pace:
            self._pace = min(self._ceiling, self._pace + self._ceiling * _RECOVERY)

    def too_large(self, size: int, now: float) -> None:
        """Take that a request of *size* bytes was larger than anything that is taken."""
        self._refused_at = now
        self.max_bytes = max(_SMALLEST_BYTES, min(self.max_bytes, size // 2))
