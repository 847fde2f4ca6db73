"""
The objects that ingest has at hand: heads and bodies, least recently used out, the journal behind them.

Bounded by numbers of heads and bytes of bodies, so that memory follows what changes, not what exists. Belongs to one
thread at a time.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable

from aggregator.ingest.bodies import Bodies
from aggregator.records import Head, ObjectKey
from aggregator.store.base import Journal


class Catalog:
    """Heads by object and bodies by the seq of the change that they stand for."""

    def __init__(self, journal: Journal, *, max_heads: int = 200_000, bodies: Bodies | None = None) -> None:
        self._journal = journal
        self._max_heads = max_heads
        self._heads: OrderedDict[ObjectKey, Head] = OrderedDict()
        self._bodies = bodies or Bodies()

    async def heads(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Head]:
        """Return the heads of those of *keys* that the journal knows."""
        found: dict[ObjectKey, Head] = {}
        missing: list[ObjectKey] = []
        for key in keys:
            head = self._heads.get(key)
            if head is None:
                missing.append(key)
            else:
                found[key] = head
        if missing:
            found.update(await self._journal.heads(missing))
        return found

    async def bodies(self, seqs: Collection[int]) -> dict[int, bytes]:
        """Return the objects as of the changes *seqs*."""
        found: dict[int, bytes] = {}
        missing: list[int] = []
        for seq in seqs:
            body = self._bodies.get(seq)
            if body is None:
                missing.append(seq)
            else:
                found[seq] = body
        if missing:
            found.update(await self._journal.bodies(missing))
        return found

    def remember(self, heads: Iterable[tuple[Head, Head | None]], bodies: dict[int, bytes]) -> None:
        """Take over (new head, head before) and their bodies after a commit; what is dead needs no body."""
        for head, before in heads:
            self._heads[head.key] = head
            self._heads.move_to_end(head.key)
            if before is not None:
                self._bodies.drop(before.seq)
            body = bodies.get(head.seq)
            if body is not None and not head.version.gone:
                self._bodies.put(head.seq, body)
        while len(self._heads) > self._max_heads:
            _, head = self._heads.popitem(last=False)
            self._bodies.drop(head.seq)

    def forget(self, keys: Iterable[ObjectKey]) -> None:
        """Drop what is known of *keys*: the journal holds them no more."""
        for key in keys:
            head = self._heads.pop(key, None)
            if head is not None:
                self._bodies.drop(head.seq)
