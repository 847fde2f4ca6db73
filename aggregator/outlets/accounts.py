"""
Counters that live in the journal, as they are told: pure arithmetic over what was loaded and what each commit adds.

A series that began while this process ran is told as 0 first, for a while, and only then with its value: `increase()`
sees nothing in a series that begins with 1, and the first crash of a new workload would go unseen. What the journal
held before was told by whoever ran before.
"""

from collections.abc import Iterator, Mapping

from aggregator.census.families import Family
from kubescribe.runtime.exposition import Row, TableFamily

ZERO_NS = 20 * 10**9
"""One Prometheus sees the 0 whatever its interval. Of two that scrape independently, the one that comes later than this
after the other loses the first increase, and nothing else; longer, and what is new would be told that much later."""


class Account:
    """One family: values by label set."""

    def __init__(self, name: str, family: Family) -> None:
        self._name = name.removesuffix("_total")
        self._family = family
        self._values: dict[tuple[str, ...], int] = {}
        self._new: dict[tuple[str, ...], int] = {}

    def load(self, labels: tuple[str, ...], value: int) -> None:
        """Take what the journal held."""
        self._values[labels] = value

    def add(self, labels: tuple[str, ...], by: int) -> None:
        """Count."""
        known = self._values.get(labels)
        if known is None:
            self._new[labels] = 0
        self._values[labels] = (known or 0) + by

    def forget(self, labels: tuple[str, ...]) -> None:
        """Tell of a series no more; counted again, it begins at 0."""
        self._values.pop(labels, None)
        self._new.pop(labels, None)

    def family(self, now: int) -> TableFamily:
        """Return the family as it stands at *now*, ns."""
        values = dict(self._values)
        told_as_zero = self._told_as_zero(now) if self._new else frozenset()

        def rows() -> Iterator[Row]:
            if not told_as_zero:
                yield from values.items()
                return
            for labels, value in values.items():
                yield labels, 0 if labels in told_as_zero else value

        return TableFamily(f"kubescribe_{self._name}", self._family.text, "counter", self._family.labels, rows)

    def _told_as_zero(self, now: int) -> frozenset[tuple[str, ...]]:
        for labels, since in list(self._new.items()):
            if since == 0:
                self._new[labels] = now
            elif now - since >= ZERO_NS:
                self._new.pop(labels, None)
        return frozenset(self._new)


def accounts_of(families: Mapping[str, Family]) -> dict[str, Account]:
    """Return an empty account for each of *families*."""
    return {name: Account(name, family) for name, family in families.items()}
