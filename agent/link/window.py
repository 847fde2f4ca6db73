"""What is sent and not acknowledged. Pure; knows numbers and sizes, not sockets."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Sent:
    n: int
    size: int
    at: float


class Window:
    """The batches under way, bounded as the aggregator's Welcome says; one batch always fits into an empty window."""

    def __init__(self, *, batches: int, max_bytes: int) -> None:
        self._batches = max(batches, 1)
        self._max_bytes = max_bytes
        self._sent: deque[_Sent] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def oldest_at(self) -> float | None:
        """When the batch that waits longest for its acknowledgement was sent, by the clock given to `add`."""
        return self._sent[0].at if self._sent else None

    def has_room(self, size: int) -> bool:
        """Tell whether a batch of *size* bytes may be sent."""
        return not self._sent or (len(self._sent) < self._batches and self.size + size <= self._max_bytes)

    def add(self, n: int, size: int, at: float) -> None:
        """Note that batch *n* is sent."""
        self._sent.append(_Sent(n, size, at))
        self.size += size

    def acknowledge(self, n: int) -> None:
        """Take out every batch up to *n*."""
        while self._sent and self._sent[0].n <= n:
            self.size -= self._sent.popleft().size

    def clear(self) -> None:
        """Take out everything: it will be sent again."""
        self._sent.clear()
        self.size = 0
