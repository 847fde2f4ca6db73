"""
Whose turn it is to be read: first what takes disk although it is deleted, then who is nearest to losing lines. Pure.

Who is asked for each batch sorts no thousands each time: while more wait than one look leads to, their order of half a
second ago is good enough.
"""

from collections.abc import Mapping

from agent.tail.paths import Instance
from agent.tail.tail import Tail

_FEW = 256
_STALE_SECONDS = 0.5


class Turns:
    """The order of those that are to be read; each may be read up to *max_window* bytes that have not arrived."""

    def __init__(self, max_window: int) -> None:
        self._max_window = max_window
        # Names, which keep nothing of who is let go meanwhile.
        self._last_first: list[Instance] = []
        self._sorted_at = 0.0

    def take(self, tails: Mapping[Instance, Tail], room: int, now: float, *, least: int, most: int) -> list[Tail]:
        """Return whom of *tails* to read into *room* bytes, each counted as *least* to *most*."""
        chosen: list[Tail] = []
        if not self._last_first or now - self._sorted_at > _STALE_SECONDS:
            self._sort(tails, now)
        while self._last_first and (not chosen or room >= most):
            tail = tails.get(self._last_first.pop())
            # It may be on its way by now, or gone.
            if tail is not None and tail.may_read(self._max_window, now):
                chosen.append(tail)
                room -= min(max(tail.look.unread, least), most)
            if not self._last_first and not chosen:
                self._sort(tails, now)
        if len(self._last_first) < _FEW:
            self._last_first = []
        return chosen

    def _sort(self, tails: Mapping[Instance, Tail], now: float) -> None:
        ready = [tail for tail in tails.values() if tail.may_read(self._max_window, now)]
        if len(ready) > 1:
            ready.sort(key=lambda tail: (not tail.look.held, tail.seconds_left, tail.read))
            ready.reverse()
        self._last_first, self._sorted_at = [tail.instance for tail in ready], now
