"""
What is due when: one heap of actions, run in order of time and, for equal times, in order of entry.

Nothing here knows Kubernetes. The order of entry as the tie-break is what makes a run repeatable.
"""

import heapq
import itertools
from collections.abc import Callable, Hashable

Action = Callable[[], None]


class Agenda:
    """Actions that wait for their time (seconds since 1970); a key makes an action unique while it waits."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action, Hashable]] = []
        self._order = itertools.count()
        self._waiting: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """When the next action is due; None when nothing waits."""
        return self._heap[0][0] if self._heap else None

    def add(self, due: float, action: Action, key: Hashable = None) -> None:
        """Enter *action* for *due*; with a *key*, do nothing if an action of that key already waits."""
        if key is not None:
            if key in self._waiting:
                return
            self._waiting.add(key)
        heapq.heappush(self._heap, (due, next(self._order), action, key))

    def pop_due(self, now: float) -> tuple[float, Action] | None:
        """Take the first action that is due at *now*, with its own time; None when none is."""
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, action, key = heapq.heappop(self._heap)
        if key is not None:
            self._waiting.discard(key)
        return due, action

    def delay_all(self, seconds: float) -> None:
        """Move everything by *seconds*: for a clock that jumped, a laptop that slept."""
        self._heap = [(due + seconds, order, action, key) for due, order, action, key in self._heap]

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._waiting.clear()
