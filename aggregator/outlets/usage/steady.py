"""
Somebody else's counter, exported only where no rate over it can be wrong. Pure.

Prometheus takes a value below the one before for a restart, and adds the whole of it. So a counter that falls although
its container did not start anew is told no more, until it has passed where it was; and one that grows faster than any
machine can is not told either. Absent is honest: a rate that is missing can be seen, a wrong one cannot. One that
stays out of order for longer than rates look back is believed again.
"""

import msgspec

SECOND = 10**9

HEALS_AFTER_SECONDS = 600
"""Twice the five minutes over which rates are usually taken."""

_SLACK_SECONDS = 60
"""By which two clocks, and the moments of reading and sending, may differ."""


class SteadyCounter(msgspec.Struct, gc=False, eq=False):
    """One counter; `value` is what may be exported now, None for nothing."""

    value: int | None = None
    _last: int | None = None
    _started_at: int = 0
    _seen_at: int = 0

    def take(self, value: int | None, started_at: int, at: int, now: int, most_per_second: int) -> bool:
        """
        Take what was read: *value* since *started_at* (0: not known) as of *at*, all by the source's clock, ns.

        *now* is ours, *most_per_second* what cannot be exceeded. Return whether the value is in order.
        """
        if value is None:
            self.value = None
            return True
        if started_at > at + _SLACK_SECONDS * SECOND:
            started_at = 0  # nothing starts in the future; believed, it would hide every later start
        if self._last is None or started_at > self._started_at > 0 or self._is_healed(now):
            is_good = not started_at or value <= most_per_second * (max(0, at - started_at) // SECOND + _SLACK_SECONDS)
        else:
            elapsed = (now - self._seen_at) // SECOND if now > self._seen_at else 0
            is_good = 0 <= value - self._last <= most_per_second * (elapsed + _SLACK_SECONDS)
        if is_good:
            self.value = self._last = value
            self._seen_at = now
            self._started_at = max(started_at, self._started_at)
        else:
            self.value = None
        return is_good

    def _is_healed(self, now: int) -> bool:
        return now - self._seen_at > HEALS_AFTER_SECONDS * SECOND
