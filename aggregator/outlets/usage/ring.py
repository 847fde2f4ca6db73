"""The last few minutes of one pod or node: a ring of whole numbers, small enough for every pod of a large cluster."""

from array import array
from collections.abc import Iterator

import msgspec

POINTS = 20
"""Five minutes at the usual 15 s."""

_NONE = -1


class Ring(msgspec.Struct, gc=False, eq=False):
    """Points (time, CPU in nanocores, memory in bytes), the oldest is overwritten; ~0.5 KB."""

    _values: "array[int]" = msgspec.field(default_factory=lambda: array("q"))
    _next: int = 0

    def add(self, at: int, cpu_nanocores: int | None, memory_bytes: int | None) -> None:
        """Add a point."""
        cpu = _NONE if cpu_nanocores is None else cpu_nanocores
        memory = _NONE if memory_bytes is None else memory_bytes
        values = self._values
        if len(values) < 3 * POINTS:
            values.extend((at, cpu, memory))
            return
        start = 3 * self._next
        values[start], values[start + 1], values[start + 2] = at, cpu, memory
        self._next = (self._next + 1) % POINTS

    def points(self) -> Iterator[tuple[int, int | None, int | None]]:
        """Yield the points, oldest first."""
        count = len(self._values) // 3
        for index in range(count):
            start = 3 * ((self._next + index) % count)
            at, cpu, memory = self._values[start : start + 3]
            yield at, None if cpu == _NONE else cpu, None if memory == _NONE else memory
