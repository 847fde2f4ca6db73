"""
From the links to the journal: one writer, group commit, acknowledgement after the commit.

Links submit batches and claim streams; one task takes what is waiting, decides it as one transaction (first pass:
streams.py; second pass: versions.py, absence.py, occurrences.py, linecounts.py, gaps.py), commits it, and only then
answers. While a commit runs the next group gathers, so that the cost of a sync is shared by all that arrived meanwhile.
A commit that fails leaves nothing, in the journal or in memory; its batches are answered StoreUnavailable and come
again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from aggregator.census.roll import State
from aggregator.errors import StoreClosed, StoreError, StoreUnavailable
from aggregator.ingest.absence import store_absence
from aggregator.ingest.catalog import Catalog
from aggregator.ingest.doubts import doubt_departed, settle
from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft, Ledger
from aggregator.ingest.linecounts import count_lines
from aggregator.ingest.nodes import follow_nodes
from aggregator.ingest.occurrences import prefetch_occurrences, store_occurrence
from aggregator.ingest.states import begin_state
from aggregator.ingest.streams import (
    Absence,
    Located,
    LocatedChange,
    LocatedDeparture,
    LocatedOccurrence,
    grant,
    locate,
)
from aggregator.ingest.versions import prefetch, store_change
from aggregator.records import CounterKey, Head, JournalState, ObjectKey, Plan, Published
from aggregator.store.base import Journal
from kubescribe.wire.link import Claim, Grant, Granted, Relist
from kubescribe.wire.records import AnyRecord, Change, LineCounts

# Deciding this many records takes well under 20 ms: no thread is needed.
_SMALL = 16

_OF_LINES = frozenset({"Pod", "Node"})
"""The kinds that tell whose a line is."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """
    What one transaction brought: for the outlets, and for the numbers that tell how ingest does.

    `nodes` are the heads of the Nodes that it moved, `strays` the nodes of pods for which there was no stream, `seen`
    the Pods and Nodes as they were reported, old versions included.
    """

    published: Sequence[Published]
    counters: dict[CounterKey, int]
    forgotten_counters: Sequence[CounterKey]
    tally: Counter[str]
    seconds: float
    batches: int
    relists: Sequence[Relist]
    nodes: Sequence[Head]
    strays: Sequence[str]
    seen: Sequence[Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How much goes into one transaction and how much may wait.

    `key_version_every`: a whole body every so many versions of an object bounds what a read has to rebuild; 16 patches
    apply in ~0.3 ms and cost less than one more body.
    """

    group_records: int = 1024
    waiting_records: int = 4096
    key_version_every: int = 16


@dataclass(slots=True)
class _Submission:
    spool_id: str
    n: int
    records: list[AnyRecord]
    done: asyncio.Future[int]


@dataclass(slots=True)
class _Claiming:
    spool_id: str
    claim: Claim
    former: tuple[str, ...]
    done: asyncio.Future[Granted]
    answer: list[Grant] = field(default_factory=list)


@dataclass(slots=True)
class _Note:
    write: Callable[[Draft], None]
    done: asyncio.Future[None]


_Work = _Submission | _Claiming | _Note


class Pipeline:
    """The one writer of the journal."""

    def __init__(
        self,
        journal: Journal,
        state: JournalState,
        *,
        now_ns: Callable[[], int],
        on_committed: Callable[[Committed], None],
        on_failed: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
    ) -> None:
        self._journal = journal
        self._catalog = Catalog(journal)
        self._now_ns = now_ns
        self._on_committed = on_committed
        self._on_failed = on_failed
        self._limits = limits or Limits()
        self._waiting: deque[_Work] = deque()
        self._waiting_records = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Condition()
        self._deciding = asyncio.Lock()
        self._is_stopping = False
        self.ledger = Ledger.of(state)
        self.failure: str | None = None
        """Why the last commit failed; None while the journal takes what it is given."""

    async def submit(self, spool_id: str, n: int, records: list[AnyRecord]) -> asyncio.Future[int]:
        """
        Queue a batch, waiting while too much is waiting; the future is *n* once the batch is committed.

        The future raises StoreUnavailable when it is not. Batches of one spool must be submitted in order; one that is
        in the journal already is answered without being read.
        """
        async with self._room:
            await self._room.wait_for(lambda: self._waiting_records < self._limits.waiting_records)
            self._waiting_records += len(records)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._add(_Submission(spool_id, n, records, done))
        return done

    async def claim(self, spool_id: str, claim: Claim, former: tuple[str, ...] = ()) -> Granted:
        """
        Give the streams to the spool and return the grants, once that is durable. Raises StoreUnavailable.

        *former* are the ids that the spool had before; what they held it holds without a break.
        """
        done: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._add(_Claiming(spool_id, claim, former, done))
        return await done

    async def note(self, write: Callable[[Draft], None]) -> None:
        """Commit what *write* adds to the draft that it is given. Raises StoreUnavailable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(_Note(write, done))
        await done

    @asynccontextmanager
    async def forgetting(self, keys: Collection[ObjectKey]) -> AsyncIterator[None]:
        """Decide nothing while the block runs, in which the journal deletes the objects *keys*, and forget them too."""
        async with self._deciding:
            self._catalog.forget(keys)
            yield

    async def enroll(self, states: Sequence[tuple[ObjectKey, State]]) -> None:
        """
        Take the states of objects that were in the journal when it was opened, and begin their series.

        Raises StoreUnavailable; then it may be done again.
        """

        def begin(draft: Draft) -> None:
            for _, state in states:
                begin_state(draft, state)

        async with self._deciding:
            self.ledger.roll.enroll(states)
            begin(would_be := Draft(self.ledger, self._now_ns()))
        if would_be.plan.counters:
            await self.note(begin)

    def _add(self, work: _Work) -> None:
        self._waiting.append(work)
        self._arrived.set()

    async def run(self) -> None:
        """Write until `stop`, and then what was still waiting. Cancelled, it fails the group under way as a whole."""
        while not self._is_stopping or self._waiting:
            if not self._waiting:
                await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._write(await self._next_group())

    async def stop(self) -> None:
        """Let `run` end once everything that waits is written; call it when nothing more is submitted."""
        self._is_stopping = True
        self._arrived.set()

    async def _next_group(self) -> list[_Work]:
        group: list[_Work] = []
        records = 0
        while self._waiting and records < self._limits.group_records:
            work = self._waiting.popleft()
            group.append(work)
            if isinstance(work, _Submission):
                records += len(work.records)
        if records:
            async with self._room:
                self._waiting_records -= records
                self._room.notify_all()
        return group

    async def _write(self, group: Sequence[_Work]) -> None:
        started = asyncio.get_running_loop().time()
        try:
            async with self._deciding:
                draft = await self._decide_and_commit(group)
        except (StoreUnavailable, StoreClosed) as error:
            self._fail(group, error)
            return
        except asyncio.CancelledError:
            self._fail(group, StoreUnavailable("the aggregator is stopping"))
            raise
        except Exception as error:  # noqa: BLE001
            # A defect must not eat batches in silence: they stay unacknowledged and the sources keep them.
            if len(group) > 1:
                await self._write_apart(group)
                return
            _log.exception("ingest.group_failed")
            told = error if isinstance(error, StoreError) else StoreUnavailable(f"internal error: {error!r}"[:256])
            self._fail(group, told)
            return
        # A transaction that has nothing to write succeeds on a full disk too.
        if self.failure is not None and draft.plan != Plan():
            _log.info("ingest.recovered", was=self.failure)
            self.failure = None
        for work in group:
            _answer(work)
        self._on_committed(
            Committed(
                published=draft.published,
                counters=draft.plan.counters,
                forgotten_counters=draft.plan.forgotten_counters,
                tally=draft.tally,
                seconds=asyncio.get_running_loop().time() - started,
                batches=sum(isinstance(work, _Submission) for work in group),
                relists=[Relist(epoch=draft.epoch, streams=names, reason="snapshot") for names in draft.relists],
                nodes=draft.nodes,
                strays=draft.strays,
                seen=draft.seen,
            )
        )

    async def _write_apart(self, group: Sequence[_Work]) -> None:
        """Write each work of a group that failed by itself, so that the one that no journal takes harms no other."""
        _log.warning("ingest.group_split", works=len(group))
        for work in group:
            await self._write([work])

    async def _decide_and_commit(self, group: Sequence[_Work]) -> Draft:
        draft = Draft(self.ledger, self._now_ns())
        located = _first_pass(draft, group)
        draft.seen = [
            item.change for item in located if isinstance(item, LocatedChange) and item.change.kind in _OF_LINES
        ]
        known = await prefetch(self._journal, self._catalog, located)
        occurrences = await prefetch_occurrences(self._journal, located)

        def second_pass() -> None:
            for item in located:
                if isinstance(item, LocatedChange):
                    store_change(draft, known, item, key_version_every=self._limits.key_version_every)
                elif isinstance(item, LocatedOccurrence):
                    store_occurrence(draft, occurrences, item)
                elif isinstance(item, Absence):
                    store_absence(draft, known, item)
                elif isinstance(item, LocatedDeparture):
                    doubt_departed(draft, known, item)
                elif isinstance(item, LineCounts):
                    count_lines(draft, item)
                else:
                    add_gap(draft, item)
            settle(draft, known)
            follow_nodes(draft, known)

        if len(located) > _SMALL:
            await asyncio.to_thread(second_pass)
        else:
            second_pass()
        await self._journal.commit(draft.plan)
        draft.absorb()
        moved = list(known.moved())
        if len(moved) > _SMALL:
            await asyncio.to_thread(self._catalog.remember, moved, known.bodies)
        else:
            self._catalog.remember(moved, known.bodies)
        return draft

    def _fail(self, group: Sequence[_Work], error: StoreError) -> None:
        if self.failure is None:
            _log.warning("ingest.commit_failed", error=str(error))
        self.failure = str(error)
        self._on_failed()
        for work in group:
            if not work.done.done():
                work.done.set_exception(error)


def _first_pass(draft: Draft, group: Sequence[_Work]) -> list[Located]:
    located: list[Located] = []
    for work in group:
        if isinstance(work, _Claiming):
            work.answer = [grant(draft, work.spool_id, claim, work.former) for claim in work.claim.streams]
        elif isinstance(work, _Note):
            work.write(draft)
        elif work.n <= draft.last_batch(work.spool_id):
            draft.tally["batch_repeated"] += 1
        elif work.n > draft.last_batch(work.spool_id) + 1:
            # A group that held the batch before it failed; taking this one would make that one a repeat when it comes
            # again, and its records would be lost.
            if not work.done.done():
                work.done.set_exception(StoreUnavailable("the batch before it is not in the journal"))
        else:
            located += locate(draft, work.spool_id, work.records)
            draft.took_batch(work.spool_id, work.n)
    return located


def _answer(work: _Work) -> None:
    if work.done.done():  # whoever asked was cancelled meanwhile
        return
    if isinstance(work, _Submission):
        work.done.set_result(work.n)
    elif isinstance(work, _Claiming):
        work.done.set_result(Granted(streams=tuple(work.answer)))
    else:
        work.done.set_result(None)
