"""
Lines that are dealt with for good, by workload and level, until the spool has them: what is pending, and one parcel.

A parcel is what of the pending lines is handed over in one go. It has its number, and is what it is until the next one
is made: handed over again after a crash, it is known by that number and counted once. Pure; store.py keeps it on disk.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import islice

import msgspec

from kubescribe.wire.records import MAX_LINE_COUNTS

MAX_SERIES = 10_000
"""Of (namespace, workload, level) that are pending; what comes above is counted under the workload `other`."""

OTHER = "other"

Series = tuple[str, str, str]
"""Namespace, workload, level."""


class Parcel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Counts on their way: (namespace, workload, level, lines)."""

    n: int
    counts: tuple[tuple[str, str, str, int], ...] = ()


class Tally:
    """What is pending, and the last parcel; `is_handed` tells, in this life, that the spool has that one."""

    def __init__(self) -> None:
        self.pending: Counter[Series] = Counter()
        self.parcel = Parcel(n=0)
        self.is_handed = True

    def add(self, namespace: str, workload: str, levels: Mapping[str, int]) -> None:
        """Count lines."""
        for level, count in levels.items():
            key = (namespace, workload, level)
            if key not in self.pending and len(self.pending) >= MAX_SERIES:
                key = (namespace, OTHER, level)
            self.pending[key] += count

    def next_parcel(self) -> Parcel | None:
        """Return the parcel to be made of what is pending, None for nothing; `take` it once it is on disk."""
        some = list(islice(self.pending.items(), MAX_LINE_COUNTS))
        return Parcel(n=self.parcel.n + 1, counts=tuple((*key, count) for key, count in some)) if some else None

    def take(self, parcel: Parcel) -> None:
        """Let *parcel* be the one on its way: what is in it is pending no more."""
        self.parcel, self.is_handed = parcel, False
        for *key, count in parcel.counts:
            series = (key[0], key[1], key[2])
            left = self.pending.pop(series, 0) - count
            if left:
                self.pending[series] = left
