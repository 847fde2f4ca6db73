"""
Counters that live in the journal, in a transaction: bounded by family, with what was folded counted too.

The limit is kept here and not where they are shown, so that the same series are told apart after every restart: a
series that changed its place between `other` and its own name would make a wrong rate.
"""

from collections.abc import Iterable, Mapping

from aggregator.census.families import COUNTERS, MARKS, MAX_SERIES, OTHER
from aggregator.records import CounterKey

FOLDED = "series_folded_total"
MAX_MARKS = 100_000
"""Containers that a restored store set back and that have not caught up; what more of them repeat counts again."""


class Series:
    """The series that the journal holds, by family, and the marks with their values."""

    def __init__(self, counters: Mapping[CounterKey, int]) -> None:
        self.known: dict[str, set[tuple[str, ...]]] = {}
        self.marks: dict[tuple[str, ...], int] = {}
        self.absorb(counters)

    def forget(self, keys: Iterable[CounterKey]) -> None:
        """Take that these are in the journal no more; before what the same transaction counted."""
        for family, labels in keys:
            self.known.get(family, set()).discard(labels)

    def absorb(self, counters: Mapping[CounterKey, int]) -> None:
        """Take what was committed."""
        for (family, labels), by in counters.items():
            if family != MARKS:
                self.known.setdefault(family, set()).add(labels)
            elif (value := self.marks.pop(labels, 0) + by) > 0:
                self.marks[labels] = value


class Counting:
    """What one transaction counts, into *counters*, which are added to the journal's."""

    def __init__(self, series: Series, counters: dict[CounterKey, int]) -> None:
        self._series = series
        self._counters = counters
        self._new: dict[str, int] = {}
        self._has_marked = False

    def count(self, family: str, labels: tuple[str, ...], by: int) -> None:
        """Add to a series; one too many of its family is counted as `other`."""
        key = CounterKey(family, labels)
        known = self._counters.get(key)
        if known is not None:
            self._counters[key] = known + by
        elif self._admits(family, labels):
            self._counters[key] = by
        else:
            other = CounterKey(family, (OTHER,) * len(labels))
            self._counters[other] = self._counters.get(other, 0) + by
            folded = CounterKey(FOLDED, (family,))
            self._counters[folded] = self._counters.get(folded, 0) + by

    def begin(self, family: str, labels: tuple[str, ...]) -> None:
        """Let a series be there, at 0 if it is new; one too many is not begun."""
        if labels not in self._series.known.get(family, ()):
            key = CounterKey(family, labels)
            if key not in self._counters and self._admits(family, labels):
                self._counters[key] = 0

    @property
    def has_marks(self) -> bool:
        """Whether any mark is set, or was in this transaction."""
        return bool(self._series.marks) or self._has_marked

    def mark(self, labels: tuple[str, ...]) -> int:
        """Return a mark, 0 if it is not set."""
        if not self.has_marks:
            return 0
        return self._series.marks.get(labels, 0) + self._counters.get(CounterKey(MARKS, labels), 0)

    def set_mark(self, labels: tuple[str, ...], value: int) -> None:
        """Set a mark; 0 removes it."""
        if not (value or self.has_marks):
            return
        by = value - self.mark(labels)
        if by and (by < 0 or len(self._series.marks) < MAX_MARKS):
            key = CounterKey(MARKS, labels)
            self._counters[key] = self._counters.get(key, 0) + by
            self._has_marked = True

    def _admits(self, family: str, labels: tuple[str, ...]) -> bool:
        known = self._series.known.get(family, ())
        if labels in known:
            return True
        about = COUNTERS.get(family)
        new = self._new.get(family, 0)
        if len(known) + new >= (about.max_series if about is not None else MAX_SERIES):
            return False
        self._new[family] = new + 1
        return True
