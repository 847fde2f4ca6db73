"""
Whether the kubelet, which deletes, overtakes the reader, and when: at the pace at which both run now. Pure.

Bytes that are behind say little: a busy container is always some behind, and a backlog that shrinks is no danger. So
what was written is held against what Loki took, over half a minute to a minute: pushes come in bursts.
"""

WINDOW_SECONDS = 30.0
ON_ITS_WAY_BYTES = 5 * 2**20
"""Less than this is between two pushes, as long as Loki takes any at all."""

HORIZON_SECONDS = 24 * 3600.0
"""What is further away is out of sight: nobody acts on it, and no pace stays the same for so long."""

NEVER = float("inf")


class Race:
    """The two paces of one container; times are monotonic seconds, amounts are bytes since any beginning."""

    __slots__ = ("_behind_per_second", "_is_taken", "_newer", "_older")

    def __init__(self) -> None:
        self._older: tuple[float, int, int] | None = None
        self._newer: tuple[float, int, int] | None = None
        self._behind_per_second = 0.0
        self._is_taken = False

    def note(self, written: int, taken: int, now: float) -> None:
        """Take how much was *written*, and how much of it Loki has *taken*, up to *now*."""
        if self._newer is None or now - self._newer[0] >= WINDOW_SECONDS:
            self._older, self._newer = self._newer, (now, written, taken)
        if self._older is not None:
            since, was_written, was_taken = self._older
            self._behind_per_second = ((written - was_written) - (taken - was_taken)) / (now - since)
            self._is_taken = taken > was_taken

    def seconds_to_loss(self, lag: int, kept_bytes: int) -> float:
        """
        Return when the first of *lag* bytes is deleted that Loki does not have, NEVER when that is not in sight.

        The kubelet keeps *kept_bytes*.
        """
        if self._behind_per_second <= 0 or (self._is_taken and lag < ON_ITS_WAY_BYTES):
            return NEVER
        seconds = max(0, kept_bytes - lag) / self._behind_per_second
        return seconds if seconds < HORIZON_SECONDS else NEVER
