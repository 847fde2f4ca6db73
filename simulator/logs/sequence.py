"""
Numbered lines, and the account of those that arrived: what proves that nothing was lost.

A line says its container and number and pads itself to a length: `seq=c-3 n=17 xxxx`. Pure.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

_LINE = re.compile(r"seq=(\S+) n=(\d+)(?: |$)")


def numbered(container: str, number: int, size: int = 100) -> str:
    """Return line *number* of *container*, of *size* characters if that is not too few."""
    return f"seq={container} n={number} ".ljust(size, "x")


class Account:
    """Which numbers of which container were seen, and how often."""

    def __init__(self) -> None:
        self._seen: dict[str, Counter[int]] = {}
        self.strangers = 0
        """Lines that carry no number."""

    def add(self, lines: Iterable[str]) -> None:
        """Count *lines*."""
        for line in lines:
            match = _LINE.match(line)
            if match is None:
                self.strangers += 1
            else:
                self._seen.setdefault(match.group(1), Counter())[int(match.group(2))] += 1

    def count(self, container: str) -> int:
        """Return how many different numbers of *container* were seen."""
        return len(self._seen.get(container, ()))

    def missing(self, written: Mapping[str, int]) -> dict[str, list[int]]:
        """Return the numbers not seen, by container, where *written* lines (0 … n-1) were written of each."""
        return {
            container: lost
            for container, count in written.items()
            if (lost := [number for number in range(count) if number not in self._seen.get(container, {})])
        }

    @property
    def repeats(self) -> int:
        """How many lines came once more than they were written."""
        return sum(count - 1 for numbers in self._seen.values() for count in numbers.values())
