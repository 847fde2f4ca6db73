"""
What a journal promises, whatever keeps it (design section 6).

One writer: ingest calls the methods of the first half, from one task, and `commit` is all or nothing and durable when
it returns. Any number of readers call the second half at any time; each read sees whole transactions, runs outside the
event loop, holds its transaction ≤ 1 s and returns finished JSON. Every method raises StoreClosed after `close`,
StoreUnavailable when the disk does not serve.
"""

from collections.abc import Collection
from typing import Protocol

from aggregator.records import Head, JournalState, ObjectKey, ObjectQuery, Page, Plan, RecordQuery, Version


class Journal(Protocol):
    """The journal, as ingest and web see it."""

    async def open(self) -> JournalState:
        """Open or create it. Raises StoreUnusable with a line that says why and what to do."""
        ...

    async def close(self) -> None:
        """Finish the write under way and close; idempotent."""
        ...

    # The writer's half.

    async def commit(self, plan: Plan) -> None:
        """Execute *plan* in one durable transaction. Raises StoreUnavailable; then nothing of it was kept."""
        ...

    async def heads(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Head]:
        """Return the heads of the objects that the journal knows; the others are missing from the answer."""
        ...

    async def bodies(self, seqs: Collection[int]) -> dict[int, bytes]:
        """Return the whole object as of each change in *seqs*, JSON, rebuilt from its key version and patches."""
        ...

    async def known(self, versions: Collection[tuple[int, Version]]) -> set[tuple[int, Version]]:
        """Return which of the (object id, version) are stored."""
        ...

    async def below(self, object_id: int, version: Version) -> int | None:
        """Return the seq of the highest stored version of the object below *version*, None if there is none."""
        ...

    async def living(self, kind: str, node: str | None) -> list[Head]:
        """Return the heads that are not gone of one kind, of one node ("": without a node; None: any)."""
        ...

    async def occurrence_counts(self, uids: Collection[str]) -> dict[str, tuple[int, int, int]]:
        """Return (epoch, resourceVersion, count) of the highest stored state of each Event that the journal knows."""
        ...

    async def known_occurrences(self, states: Collection[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
        """Return which of the (uid, epoch, resourceVersion) are stored."""
        ...

    # The readers' half.

    async def changes(self, query: RecordQuery) -> Page:
        """Return changes by seq; `q` is searched in name, kind, actor and diff, without case."""
        ...

    async def occurrences(self, query: RecordQuery) -> Page:
        """Return occurrences by seq; kind, name and uid are those of the object that the Event is about."""
        ...

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """Return the gaps that touch `start` … `to`, the latest row of each id, by seq."""
        ...

    async def objects(self, query: ObjectQuery) -> Page:
        """Return the cluster as it was at a moment; items carry `uncertain` inside an inferred interval."""
        ...

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """Return one object with its body, alive or dead, now or `at`; None when the journal does not know it."""
        ...

    async def history(self, uid: str, query: RecordQuery) -> Page | None:
        """Return all versions of one object by (epoch, resourceVersion, gone); `after` counts those already seen."""
        ...

    async def replay(self, topic: str, query: RecordQuery) -> list[tuple[int, bytes]]:
        """Return up to `limit` (seq, JSON) of *topic* above `after`, ascending, filtered as the query says."""
        ...

    async def seq_at(self, committed_at: int) -> int:
        """Return the highest seq committed before *committed_at* (ns), 0 if none: where a feed from a time begins."""
        ...

    async def facts(self) -> dict[str, int]:
        """Return lastSeq, bytes, oldestCommittedAt, changes, objects, living: what status and metrics tell."""
        ...
