"""
Streams: who holds one, how far it is complete, and which epoch its versions belong to (design section 2).

First pass over a transaction's records, in their order. It moves resume points, follows Snapshots from begin to end,
and gives every version its epoch. Pure: it works on a draft and does no I/O.

The rules:

* A claim raises the stream's term. A record is the holder's when it comes from the spool that holds the stream, under a
  term of its unbroken holding: a spool is first in, first out, so what it held before a restart is still in order.
  A folder that is numbered anew has a new spool id, names its former ones, and holds on.
* Only the holder moves the resume point, and only with versions of a watch or the end of a Snapshot.
* The epoch of a version is that of (stream, term). It changes at the begin of a Snapshot only, and then for the later
  terms of the same holding too: they were granted while that Snapshot lay in the spool. A list belongs to the epoch
  that the agent knew when it asked, or to that of what came before it; a consistent list below a resume point of that
  epoch proves a restore: it belongs to the journal's epoch where that is newer, else the journal's epoch is raised.
* A Snapshot that cannot be used is owed: asked for at once, and by every grant until one ends whole.
* The store was restored after the last sign that the stream which proved it had of the old history. A stream whose
  point the restored store had passed before it looked cannot know; what it told since that moment may be of either
  history, and not all of it. So its first whole Snapshot of the new epoch ends a Gap that begins there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from aggregator.ingest.ledger import Draft
from aggregator.records import SnapshotStage, StreamRow
from kubescribe.wire.link import Grant, StreamClaim
from kubescribe.wire.records import (
    AnyRecord,
    Change,
    Departed,
    Gap,
    LineCounts,
    Occurrence,
    Presence,
    Progress,
    Snapshot,
)


class LocatedChange(msgspec.Struct, frozen=True, gc=False):
    """A Change and its epoch."""

    change: Change
    epoch: int


@dataclass(slots=True, frozen=True)
class LocatedOccurrence:
    """An Occurrence and its epoch."""

    occurrence: Occurrence
    epoch: int


@dataclass(slots=True, frozen=True)
class LocatedDeparture:
    """A Departed and its epoch."""

    departed: Departed
    epoch: int


@dataclass(slots=True, frozen=True)
class Absence:
    """
    A Snapshot that ended whole: what the journal believes alive in `stream` and is not among `uids` is gone.

    Only versions up to (`epoch`, `resource_version`) may be judged; the deletes happened between `after` and `before`.
    """

    stream: str
    kind: str
    epoch: int
    resource_version: int
    uids: frozenset[str]
    after: int
    before: int


Located = LocatedChange | LocatedOccurrence | LocatedDeparture | Absence | Gap | LineCounts
_Versioned = Change | Occurrence | Progress | Departed
_LOCATED: Mapping[type, Callable[[Any, int], Located]] = {
    Change: LocatedChange,
    Occurrence: LocatedOccurrence,
    Departed: LocatedDeparture,
}


def grant(draft: Draft, spool_id: str, claim: StreamClaim, former: tuple[str, ...] = ()) -> Grant:
    """Give the stream to *spool_id*, which was called *former* before, and return what it needs to go on."""
    row = draft.stream(claim.name)
    if row is None:
        row = StreamRow(
            name=claim.name,
            kind=claim.kind,
            resource_version=0,
            epoch=draft.epoch,
            complete_at=0,
            holder=spool_id,
            held_since=1,
            term=1,
        )
    else:
        term = row.term + 1
        held_since = row.held_since if row.holder in {spool_id, *former} else term
        if held_since == term and _stage(draft, claim.name) is not None:
            # Begun by another spool, which cannot end it now.
            draft.plan.stages[claim.name] = _owed(claim.name)
        row = replace(row, kind=claim.kind, holder=spool_id, held_since=held_since, term=term)
    draft.plan.streams[claim.name] = row
    draft.plan.retired.discard(claim.name)  # who claims it in the transaction that retires it has it
    if row.term == 1:
        draft.set_term_epoch(claim.name, 1, row.epoch)  # a later term goes on in the epoch of the one before it
    return Grant(
        name=row.name,
        term=row.term,
        epoch=draft.epoch,
        resource_version=row.resource_version,
        snapshot=row.resource_version == 0 or row.epoch < draft.epoch or _stage(draft, claim.name) == _owed(claim.name),
        complete_at=row.complete_at,
    )


def locate(draft: Draft, spool_id: str, records: list[AnyRecord]) -> list[Located]:
    """Follow *records* of one batch and return what the second pass has to store, in the same order."""
    located: list[Located] = []
    seeing: dict[str, _Seeing] = {}
    runs: dict[tuple[str, int], _Run] = {}
    for record in records:
        if isinstance(record, Gap | LineCounts):
            located.append(record if isinstance(record, LineCounts) else _of_what_is(draft, record))
        elif isinstance(record, Snapshot):
            # It looks at the resume points, and may begin an epoch.
            _move(draft, runs)
            before = draft.stream(record.stream)
            absence = _follow(draft, spool_id, record)
            if absence is not None and before is not None:
                seeing.setdefault(record.stream, (record.observed_at, "lost"))
                located += [absence, *_passed_unnoticed(draft, before, absence)]
        elif not isinstance(record, Presence):
            run = runs.get((record.stream, record.term))
            if run is None:
                run = runs[record.stream, record.term] = _run(draft, spool_id, record.stream, record.term)
            if run.moves and _is_of_a_watch(record):
                seeing.setdefault(record.stream, (record.observed_at, "recovered"))
                run.resource_version = max(run.resource_version, record.resource_version)
                run.complete_at = max(run.complete_at, record.observed_at)
            if (make := _LOCATED.get(type(record))) is not None:
                located.append(make(record, run.epoch))
    _move(draft, runs)
    return [*located, *_forgotten(draft, seeing, records)] if draft.ledger.open_gaps else located


@dataclass(slots=True)
class _Run:
    """What one batch has of a stream under one term: the epoch of that, whether it `moves` the stream, and how far."""

    epoch: int
    moves: bool
    resource_version: int = 0
    complete_at: int = 0


def _run(draft: Draft, spool_id: str, stream: str, term: int) -> _Run:
    """Begin a run: it moves the stream's resume point if it is the holder's and of the stream's epoch."""
    epoch = draft.term_epoch(stream, term)
    row = _held(draft, spool_id, stream, term)
    return _Run(epoch, moves=row is not None and row.epoch == epoch)


def _move(draft: Draft, runs: dict[tuple[str, int], _Run]) -> None:
    """Move the resume points as far as *runs* have come, once for all of their records, and end them."""
    for (stream, _), run in runs.items():
        row = draft.stream(stream) if run.moves else None
        if row is not None and (run.resource_version > row.resource_version or run.complete_at > row.complete_at):
            draft.plan.streams[stream] = replace(
                row,
                resource_version=max(row.resource_version, run.resource_version),
                complete_at=max(row.complete_at, run.complete_at),
            )
    runs.clear()


_Seeing = tuple[int, Literal["recovered", "lost"]]
"""When a stream was seen to go on, and what that makes of a gap: nothing was missed, or a list had to mend it."""


def _forgotten(draft: Draft, seeing: Mapping[str, _Seeing], records: Sequence[AnyRecord]) -> Iterator[Gap]:
    """Yield the ends of gaps whose agent died or lost its spool before it could say them: their streams go on."""
    told = {record.id for record in records if isinstance(record, Gap)}
    for stream, (at, outcome) in seeing.items():
        for gap in draft.ledger.open_gaps.of(stream):
            if gap.id not in told:
                yield replace(gap, to=max(at, gap.start), outcome=outcome)


def _of_what_is(draft: Draft, gap: Gap) -> Gap:
    """
    Return *gap*, recovered if it is open and of a node that was let go: its stream goes on nowhere.

    A leader that hung tells so of all that it watched when it wakes; the node was seen to its end by another.
    """
    if gap.outcome != "open" or "/node=" not in gap.stream or draft.stream(gap.stream) is not None:
        return gap
    return replace(gap, to=gap.start, outcome="recovered")


def _held(draft: Draft, spool_id: str, stream: str, term: int) -> StreamRow | None:
    row = draft.stream(stream)
    if row is not None and row.holder == spool_id and row.held_since <= term <= row.term:
        return row
    return None


def _is_of_a_watch(record: _Versioned) -> bool:
    """Tell whether *record* came in the order of a watch: what a list holds, or nobody saw, moves no resume point."""
    if isinstance(record, Change):
        return not record.listed and record.inferred is None
    return not (isinstance(record, Occurrence) and record.listed)


def _follow(draft: Draft, spool_id: str, snapshot: Snapshot) -> Absence | None:
    row = _held(draft, spool_id, snapshot.stream, snapshot.term)
    if row is None:
        if snapshot.phase == "end":
            _orphan(draft, spool_id, snapshot)
        return None
    if snapshot.phase == "begin":
        _begin(draft, row, snapshot)
        return None
    stage = _stage(draft, snapshot.stream)
    if stage is None or stage.id != snapshot.id or not stage.id:
        if snapshot.phase == "end":
            _void(draft, snapshot)
        return None
    if snapshot.phase == "part":
        draft.plan.staged.append((snapshot.stream, snapshot.uids))
        return None
    return _end(draft, row, stage, snapshot)


def _begin(draft: Draft, row: StreamRow, snapshot: Snapshot) -> None:
    known = min(max(draft.term_epoch(snapshot.stream, snapshot.term), snapshot.epoch), draft.epoch)
    epoch = known
    if snapshot.consistent and row.epoch == known and row.resource_version > snapshot.resource_version:
        epoch = draft.epoch
        if known == draft.epoch:
            epoch = draft.raise_epoch(since=row.complete_at)
            others = {name for name in (*draft.ledger.streams, *draft.plan.streams) if name != snapshot.stream}
            draft.relists.append(tuple(sorted(others)))
    draft.set_term_epoch(snapshot.stream, snapshot.term, epoch)
    draft.plan.stages[snapshot.stream] = SnapshotStage(
        stream=snapshot.stream,
        id=snapshot.id,
        resource_version=snapshot.resource_version,
        consistent=snapshot.consistent,
    )
    # A new begin replaces a Snapshot that never ended, also one of this very transaction.
    draft.plan.staged = [entry for entry in draft.plan.staged if entry[0] != snapshot.stream]


def _stage(draft: Draft, stream: str) -> SnapshotStage | None:
    if stream in draft.plan.stages:
        return draft.plan.stages[stream]
    stage = draft.ledger.stages.get(stream)
    return stage.snapshot if stage else None


def _staged_uids(draft: Draft, stage: SnapshotStage) -> frozenset[str]:
    uids: set[str] = set()
    committed = draft.ledger.stages.get(stage.stream)
    if committed is not None and committed.snapshot.id == stage.id:
        uids |= committed.uids
    for stream, part in draft.plan.staged:
        if stream == stage.stream:
            uids.update(part)
    return frozenset(uids)


def _end(draft: Draft, row: StreamRow, stage: SnapshotStage, snapshot: Snapshot) -> Absence | None:
    uids = _staged_uids(draft, stage)
    draft.plan.stages[snapshot.stream] = None
    draft.plan.staged = [entry for entry in draft.plan.staged if entry[0] != snapshot.stream]
    if len(uids) != snapshot.count:
        _void(draft, snapshot)
        return None
    epoch = draft.term_epoch(snapshot.stream, snapshot.term)
    listed_at = stage.resource_version
    if row.epoch == epoch and listed_at < row.resource_version:
        # A list from a stale cache (resourceVersion "0"): it proves nothing about what came after it.
        draft.tally["snapshot_below_resume_point"] += 1
        return None
    draft.plan.streams[snapshot.stream] = replace(
        row, resource_version=listed_at, epoch=epoch, complete_at=max(row.complete_at, snapshot.observed_at)
    )
    restored_after = draft.epoch_since(row.epoch + 1) if row.epoch < epoch else None
    return Absence(
        stream=snapshot.stream,
        kind=snapshot.kind,
        epoch=epoch,
        resource_version=listed_at,
        uids=uids,
        after=row.complete_at if restored_after is None else min(row.complete_at, restored_after),
        before=snapshot.observed_at,
    )


def _passed_unnoticed(draft: Draft, row: StreamRow, absence: Absence) -> Iterator[Gap]:
    """Yield the Gap of a stream, known as *row* before, whose first list of a new epoch does not show a restore."""
    since = draft.epoch_since(row.epoch + 1) if row.epoch < absence.epoch else None
    if since is None or not row.resource_version or row.resource_version > absence.resource_version:
        return  # its agent noticed, and its own Gap begins where the stream stood
    yield Gap(
        id=f"restored/{absence.epoch}/{absence.stream}",
        stream=absence.stream,
        cause="store_restored",
        start=since,
        to=max(since, absence.before),
        outcome="lost",
        detail="the restored store had passed this stream's version before the stream connected again",
    )


def _orphan(draft: Draft, spool_id: str, snapshot: Snapshot) -> None:
    """Count a Snapshot of a term that is over; the holder must repeat one of its own."""
    draft.tally["snapshot_of_no_holder"] += 1
    row = draft.stream(snapshot.stream)
    if row is not None and row.holder == spool_id:
        _void(draft, snapshot)


def owe(draft: Draft, stream: str) -> None:
    """Ask for a Snapshot of *stream*, now and with every grant until one ends whole."""
    draft.plan.stages[stream] = _owed(stream)
    draft.relists.append((stream,))


def _void(draft: Draft, snapshot: Snapshot) -> None:
    """Ask again for a Snapshot of which nothing may be inferred."""
    draft.tally["snapshot_void"] += 1
    owe(draft, snapshot.stream)


def _owed(stream: str) -> SnapshotStage:
    """Return the stage that stands for a Snapshot still to begin; it has no id."""
    return SnapshotStage(stream=stream, id="", resource_version=0, consistent=False)
