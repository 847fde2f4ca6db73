"""
What ingest knows between two transactions, and the draft of the next one.

The ledger changes only after a commit. A draft reads through to the ledger and keeps every change to itself, so that a
commit that fails leaves nothing behind in memory either. Small things only: the objects are the catalog's.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from aggregator.census.roll import Roll, State
from aggregator.ingest.counting import Counting, Series
from aggregator.ingest.opengaps import OpenGaps
from aggregator.records import (
    DoubtRow,
    Head,
    JournalState,
    ObjectKey,
    Plan,
    PresenceRow,
    Published,
    SnapshotStage,
    StreamRow,
)
from kubescribe.wire.records import Change, Gap, Presence

MAX_SPOOLS = 20_000
"""Spools whose last batch is known, and sources of counts of lines: each node that ever was has left one of each. A
spool that was forgotten and comes back is told that the journal has nothing of it, so its folder is numbered anew, and
what it cannot send again is a Gap."""


@dataclass(slots=True)
class Stage:
    """A running Snapshot with the uids that arrived so far."""

    snapshot: SnapshotStage
    uids: set[str]


@dataclass(slots=True)
class Ledger:
    """
    The committed state of ingest; see JournalState for the words.

    `terms` has, for each stream, the terms from which on the epoch is another: a claim costs no memory. `spools` has
    the one last that was heard last.
    """

    journal_id: str
    redaction_key: bytes
    cluster_uid: str
    cluster: str
    epoch: int
    epochs_since: dict[int, int]
    last_seq: int
    last_object_id: int
    last_committed_at: int
    streams: dict[str, StreamRow]
    terms: dict[str, dict[int, int]]
    spools: dict[str, int]
    stages: dict[str, Stage]
    open_gaps: OpenGaps
    present: dict[str, Presence]
    doubts: dict[ObjectKey, DoubtRow]
    went: dict[str, int]
    """As the journal was opened; who came and went since is the roster's to know."""
    series: Series
    roll: Roll

    @classmethod
    def of(cls, state: JournalState) -> "Ledger":
        """Return the ledger of a journal that was just opened."""
        return cls(
            journal_id=state.journal_id,
            redaction_key=state.redaction_key,
            cluster_uid=state.cluster_uid,
            cluster=state.cluster,
            epoch=state.epoch,
            epochs_since=dict(state.epochs_since),
            last_seq=state.last_seq,
            last_object_id=state.last_object_id,
            last_committed_at=state.last_committed_at,
            streams=dict(state.streams),
            terms=_terms_by_stream(state.terms),
            spools=dict(state.spools),
            stages={name: Stage(stage, set(stage.uids)) for name, stage in state.stages.items()},
            open_gaps=OpenGaps(state.open_gaps.values()),
            present=dict(state.present),
            doubts=dict(state.doubts),
            went=dict(state.went),
            series=Series(state.counters),
            roll=Roll(),
        )


@dataclass(slots=True)
class Draft:
    """One transaction in the making."""

    ledger: Ledger
    committed_at: int
    plan: Plan = field(default_factory=Plan)
    published: list[Published] = field(default_factory=list)
    relists: list[tuple[str, ...]] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    nodes: list[Head] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    states: dict[ObjectKey, State | None] = field(default_factory=dict)
    seen: list[Change] = field(default_factory=list)
    epoch: int = 0
    last_seq: int = 0
    last_object_id: int = 0
    _counting: Counting = field(init=False)

    def __post_init__(self) -> None:
        self._counting = Counting(self.ledger.series, self.plan.counters)
        self.epoch = self.ledger.epoch
        self.last_seq = self.ledger.last_seq
        self.last_object_id = self.ledger.last_object_id
        # Clocks step back; seq and committedAt never disagree about order.
        self.committed_at = max(self.committed_at, self.ledger.last_committed_at)

    def next_seq(self) -> int:
        """Return the next seq of the journal."""
        self.last_seq += 1
        return self.last_seq

    def next_object_id(self) -> int:
        """Return a new small number for an object."""
        self.last_object_id += 1
        return self.last_object_id

    def stream(self, name: str) -> StreamRow | None:
        """Return the stream as it stands in this draft."""
        return self.plan.streams.get(name) or self.ledger.streams.get(name)

    def term_epoch(self, stream: str, term: int) -> int:
        """Return the epoch of what a holder of *term* reports; the journal's own for a stream it never granted."""
        best, epoch = 0, self.epoch
        for first, known in self._terms_of(stream).items():
            if best < first <= term:
                best, epoch = first, known
        return epoch

    def set_term_epoch(self, stream: str, term: int, epoch: int) -> None:
        """Note that what the holder reports under *term* and all later ones belongs to *epoch*."""
        terms = self._terms_of(stream)
        if not terms or self.term_epoch(stream, term) != epoch:
            self.plan.terms[stream, term] = epoch
        for first, known in terms.items():
            if first > term and known != epoch:
                self.plan.terms[stream, first] = epoch

    def _terms_of(self, stream: str) -> dict[int, int]:
        committed = self.ledger.terms.get(stream, {})
        if not self.plan.terms:
            return committed
        return committed | {term: epoch for (name, term), epoch in self.plan.terms.items() if name == stream}

    def last_batch(self, spool_id: str) -> int:
        """Return the number of the last batch of a spool that is in the journal or in this draft."""
        return self.plan.spools.get(spool_id) or self.ledger.spools.get(spool_id, 0)

    def took_batch(self, spool_id: str, n: int) -> None:
        """Note the last batch of a spool; one spool too many, and the one that was silent longest is forgotten."""
        spools, known, forgotten = self.plan.spools, self.ledger.spools, self.plan.forgotten_spools
        is_new = spool_id not in known and spool_id not in spools
        spools[spool_id] = n
        excess = len(known) + sum(name not in known for name in spools) - len(forgotten) - MAX_SPOOLS
        if is_new and excess > 0:
            keep = {row.holder for row in self.ledger.streams.values()}.union(spools, forgotten)
            forgotten += list(islice((name for name in known if name not in keep), excess))

    def raise_epoch(self, since: int) -> int:
        """Begin a new epoch and return its number; *since* is the last sign of the history before it."""
        self.epoch += 1
        self.plan.epoch = self.epoch
        self.plan.epochs_since[self.epoch] = since
        return self.epoch

    def epoch_since(self, epoch: int) -> int | None:
        """Return the last sign of the history before *epoch*; None of one that an older release began."""
        return self.plan.epochs_since.get(epoch) or self.ledger.epochs_since.get(epoch)

    def open_gap(self, gap_id: str) -> Gap | None:
        """Return the gap of that id if it is open in this draft."""
        for row in reversed(self.plan.gaps):
            if row.gap.id == gap_id:
                return row.gap if row.gap.outcome == "open" else None
        return self.ledger.open_gaps.get(gap_id)

    def present(self, agent: str) -> Presence | None:
        """Return how that agent came, None when it is away in this draft."""
        for row in reversed(self.plan.presences):
            if row.presence.agent == agent:
                return row.presence if row.presence.state == "came" else None
        return self.ledger.present.get(agent)

    def doubt(self, key: ObjectKey) -> DoubtRow | None:
        """Return what is in doubt about an object in this draft."""
        if key in self.plan.doubts:
            return self.plan.doubts[key]
        return self.ledger.doubts.get(key)

    def count(self, family: str, *labels: str, by: int = 1) -> None:
        """Add to a counter that lives in the journal."""
        self._counting.count(family, labels, by)

    def begin(self, family: str, *labels: str) -> None:
        """Let a counter that lives in the journal be there, at 0 if it is new."""
        self._counting.begin(family, labels)

    @property
    def has_marks(self) -> bool:
        """Whether any mark is set."""
        return self._counting.has_marks

    def mark(self, *labels: str) -> int:
        """Return how far was counted of what a restored store brought back (see edges.py), 0 for what it did not."""
        return self._counting.mark(labels)

    def set_mark(self, *labels: str, value: int) -> None:
        """Set such a mark; 0 removes it."""
        self._counting.set_mark(labels, value)

    def state(self, key: ObjectKey) -> State | None:
        """Return the state of an object in this draft, None when it is not on the roll."""
        if key in self.states:
            return self.states[key]
        return self.ledger.roll.get(key)

    def absorb(self) -> None:
        """Move the draft into the ledger; call it only after the commit."""
        ledger, plan = self.ledger, self.plan
        ledger.epoch = self.epoch
        ledger.epochs_since |= plan.epochs_since
        ledger.last_seq = self.last_seq
        ledger.last_object_id = self.last_object_id
        ledger.last_committed_at = self.committed_at
        ledger.series.forget(plan.forgotten_counters)
        ledger.series.absorb(plan.counters)
        ledger.roll.take(self.states)
        ledger.streams.update(plan.streams)
        for (stream, term), epoch in plan.terms.items():
            ledger.terms.setdefault(stream, {})[term] = epoch
        for name in (*plan.forgotten_spools, *plan.spools):
            ledger.spools.pop(name, None)
        ledger.spools.update(plan.spools)
        ledger.cluster_uid = plan.cluster_uid or ledger.cluster_uid
        ledger.cluster = plan.cluster or ledger.cluster
        for name, stage in plan.stages.items():
            _follow_stage(ledger.stages, name, stage)
        for name, uids in plan.staged:
            if name in ledger.stages:
                ledger.stages[name].uids.update(uids)
        for row in plan.gaps:
            ledger.open_gaps.follow(row.gap)
        for came_or_went in plan.presences:
            _follow_presence(ledger.present, came_or_went)
        for key, doubt in plan.doubts.items():
            _follow_doubt(ledger.doubts, key, doubt)
        for name in plan.retired:
            ledger.streams.pop(name, None)
            ledger.terms.pop(name, None)
            ledger.stages.pop(name, None)


def _terms_by_stream(terms: dict[tuple[str, int], int]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for (stream, term), epoch in terms.items():
        found.setdefault(stream, {})[term] = epoch
    return found


def _follow_stage(stages: dict[str, Stage], name: str, stage: SnapshotStage | None) -> None:
    if stage is None:
        stages.pop(name, None)
    elif name not in stages or stages[name].snapshot.id != stage.id:
        stages[name] = Stage(stage, set())


def _follow_doubt(doubts: dict[ObjectKey, DoubtRow], key: ObjectKey, doubt: DoubtRow | None) -> None:
    if doubt is None:
        doubts.pop(key, None)
    else:
        doubts[key] = doubt


def _follow_presence(present: dict[str, Presence], row: PresenceRow) -> None:
    if row.presence.state == "came":
        present[row.presence.agent] = row.presence
    else:
        present.pop(row.presence.agent, None)
