"""
What a journal promises, whatever keeps it (design section 6).

One writer: ingest calls the methods of the first half, from one task, and `commit` is all or nothing and durable when
it returns. Any number of readers call the second half at any time; each read sees whole transactions, runs outside the
event loop, holds its transaction ≤ 1 s and returns finished JSON. Every method raises StoreClosed after `close`,
StoreUnavailable when the disk does not serve.

Retention deletes what lies before a *horizon*, in the order of seq and in small steps (`prune`). What stays of before
is what the present stands on: of each object its last version there with the rows that rebuild it, open gaps, agents
that are here. Above the horizon nothing is missing, and every answer about a moment after it is what it always was.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from aggregator.records import (
    Head,
    JournalState,
    ObjectKey,
    ObjectQuery,
    Page,
    Plan,
    RecordQuery,
    Stretch,
    Transition,
    Version,
)

Forgetting = Callable[[Collection[ObjectKey]], AbstractAsyncContextManager[None]]
"""What is entered around a deletion with the dead objects that disappear in it: nobody may stand on them meanwhile."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Pruned:
    """
    One step of retention.

    `records` were deleted, all at or below `horizon_seq`, which was committed at `horizon_at` (ns); `more` tells
    that another step is due, and `seconds` how long no commit could begin.
    """

    records: int
    horizon_seq: int
    horizon_at: int
    more: bool
    seconds: float


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

    async def living(self, kind: str, node: str | None, *, but: frozenset[str] = frozenset()) -> list[Head]:
        """
        Return the heads that are not gone of one kind, of one node ("": without a node; None: any).

        Those whose uid is in *but* are left out, at the cost of a look at their uid.
        """
        ...

    async def occurrence_counts(self, uids: Collection[str]) -> dict[str, tuple[int, int, int]]:
        """Return (epoch, resourceVersion, count) of the highest stored state of each Event that the journal knows."""
        ...

    async def known_occurrences(self, states: Collection[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
        """Return which of the (uid, epoch, resourceVersion) are stored."""
        ...

    async def prune(self, *, before: int, max_bytes: int, step: int, forgetting: Forgetting) -> Pruned:
        """
        Delete some *step* of the oldest records that were committed before *before* (ns), and move the horizon.

        While the journal uses more than *max_bytes* (0: no limit), the oldest go whatever their age. It is one durable
        transaction, decided beforehand without keeping a commit waiting. Of each object the highest version at or below
        the horizon stays, with its bases down to a key version; an object that is dead since before the horizon goes
        with its head, inside `forgetting([its key, …])`, and its number is never given again. Of a gap
        the last row there stays when it is open, of an agent when it is here. A version that was deleted is not known
        any more: one that arrives again is stored again. Raises StoreUnavailable; then nothing was deleted.
        """
        ...

    # The outlets' half: readers that pass on what they read, at their own pace and across restarts.

    async def cursor(self, name: str) -> int | None:
        """Return up to which seq the reader *name* has passed everything on, None when it never did."""
        ...

    async def move_cursor(self, name: str, seq: int) -> None:
        """Keep, durably, that the reader *name* has come to *seq*. Raises StoreUnavailable; then it has not."""
        ...

    async def transitions(self, seqs: Collection[int]) -> dict[int, Transition]:
        """
        Return the object before and after each change in *seqs*; a change that was deleted meanwhile is missing.

        Before is None, too, where retention has deleted the version below.
        """
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

    async def replay(self, topic: str, query: RecordQuery) -> Stretch:
        """Return up to `limit` records of *topic* above `after`, ascending, and the horizon when they were read."""
        ...

    async def seq_at(self, committed_at: int) -> int:
        """
        Return the highest seq committed before *committed_at* (ns), 0 if none: where a feed from a time begins.

        Never below the horizon: what is kept of before it is no account of what happened.
        """
        ...

    async def facts(self) -> dict[str, int]:
        """
        Return lastSeq, bytes, oldestCommittedAt, horizonSeq, changes, objects, living: what status and metrics tell.

        At or below `horizonSeq` records may be missing (0: none was ever deleted); `oldestCommittedAt` is the time of
        the first record above it, and of the horizon itself while there is none. `changes` are those still held, and
        `bytes` what the journal takes on its disk, pages that wait to be used again included.
        """
        ...
