"""
The most recent records in memory, in the order of seq, so that who fell a little behind need not ask the journal.

Bounded by bytes and by count; what leaves is in the journal.
"""

from bisect import bisect_right
from collections.abc import Sequence

from aggregator.records import Published

_CUT = 1000
"""Most dead records before they are cut off."""


class Ring:
    """Every record with a seq above `floor` and up to `last_seq` is here."""

    def __init__(self, *, last_seq: int, max_items: int, max_bytes: int) -> None:
        self.floor = last_seq
        self.last_seq = last_seq
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: list[Published] = []
        self._seqs: list[int] = []
        self._start = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items) - self._start

    @property
    def bytes(self) -> int:
        """The JSON bytes that are held."""
        return self._bytes

    def extend(self, items: Sequence[Published]) -> None:
        """Add *items*, ascending by seq; what is not above `last_seq` was added before and is left out."""
        for item in items:
            if item.seq <= self.last_seq:
                continue
            self.last_seq = item.seq
            self._items.append(item)
            self._seqs.append(item.seq)
            self._bytes += len(item.json)
        self._trim()

    def after(self, seq: int, limit: int | None = None) -> list[Published]:
        """Return what follows *seq*, which must not lie below `floor`; the first *limit* where given."""
        first = bisect_right(self._seqs, seq, self._start)
        return self._items[first : None if limit is None else first + limit]

    def _trim(self) -> None:
        start, held = self._start, self._bytes
        count = len(self._items)
        while start < count and (count - start > self._max_items or held > self._max_bytes):
            held -= len(self._items[start].json)
            start += 1
        if start == self._start:
            return
        self.floor = self._seqs[start - 1]
        self._start, self._bytes = start, held
        # One cut for many records: moving the rest is then cheap, and what is dead but uncut stays few.
        if start > min(_CUT, len(self)):
            del self._items[:start]
            del self._seqs[:start]
            self._start = 0
