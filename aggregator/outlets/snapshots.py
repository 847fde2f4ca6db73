"""
What a subscription gets when it asks for a snapshot: the state now, or the newest records, before its deltas.

A state (`objects`) may be newer than the seq it is said to be of: the deltas that follow say it again, and a state said
twice is the same state. Records are cut at the seq, since a record must not come twice.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

from aggregator.outlets.filters import Filter
from aggregator.records import ObjectQuery, Page, RecordQuery

SNAPSHOT_RECORDS = 100
SNAPSHOT_OBJECTS = 500
"""Objects in one part, without bodies: ~150 kB."""


class Snapshotable(Protocol):
    """The part of the journal that snapshots read."""

    async def objects(self, query: ObjectQuery) -> Page:
        """As Journal.objects."""
        ...

    async def changes(self, query: RecordQuery) -> Page:
        """As Journal.changes."""
        ...

    async def occurrences(self, query: RecordQuery) -> Page:
        """As Journal.occurrences."""
        ...

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """As Journal.gaps."""
        ...


async def snapshot_parts(
    journal: Snapshotable, topic: str, wanted: Filter, seq: int
) -> AsyncIterator[tuple[list[bytes], bool]]:
    """Yield (items, whether more follow): every living object, or the newest records up to *seq*, ascending."""
    if topic == "objects":
        after = 0
        while True:
            page = await journal.objects(
                ObjectQuery(
                    namespace=wanted.namespace,
                    kind=wanted.kind,
                    name=wanted.name,
                    q=wanted.q,
                    after=after,
                    limit=SNAPSHOT_OBJECTS,
                )
            )
            yield page.items, page.last is not None
            if page.last is None:
                return
            after = page.last
    reads = {"changes": journal.changes, "occurrences": journal.occurrences, "gaps": journal.gaps}
    read = reads.get(topic)
    if read is None:
        yield [], False
        return
    query = wanted.query(after=seq + 1, limit=SNAPSHOT_RECORDS)
    page = await read(replace(query, ascending=False))
    yield page.items[::-1], False
