"""
The journal in memory: the same promises without a disk, in the plainest way. For tests and short looks.

Every read walks everything it keeps; what the SQLite store finds by an index is found here by looking. What retention
may delete is decided in remembering.py.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from secrets import token_bytes
from typing import TypeVar
from uuid import uuid4

from msgspec import structs

from aggregator.errors import BadQuery, StoreClosed, StoreError
from aggregator.records import (
    ChangeRow,
    GapRow,
    Head,
    Horizon,
    JournalState,
    ObjectKey,
    ObjectQuery,
    OccurrenceRow,
    Page,
    Plan,
    PresenceRow,
    RecordQuery,
    Stretch,
    Transition,
    Verb,
    Version,
)
from aggregator.rendering import render_gap, render_occurrence, render_presence
from aggregator.store import patches
from aggregator.store.base import Forgetting, Pruned
from aggregator.store.filtering import wants_change, wants_gap, wants_object, wants_occurrence
from aggregator.store.following import committed, following
from aggregator.store.remembering import Rows, is_dead, is_remembered
from aggregator.store.views import Detail, ObjectState, change_item, object_item

Found = tuple[int, bytes]
Row = TypeVar("Row")


class MemoryJournal:
    """A Journal (see store/base.py) for as long as the process lives; opened again, it is what it was."""

    def __init__(self) -> None:
        self._is_open = False
        self._state = JournalState(journal_id=uuid4().hex, redaction_key=token_bytes(32))
        self._heads: dict[int, Head] = {}
        self._ids: dict[ObjectKey, int] = {}
        self._first_observed_at: dict[int, int] = {}
        self._changes: dict[int, ChangeRow] = {}
        self._versions: dict[int, dict[Version, int]] = {}
        self._occurrences: dict[int, OccurrenceRow] = {}
        self._states: dict[str, dict[tuple[int, int], OccurrenceRow]] = {}
        self._gaps: dict[int, GapRow] = {}
        self._presences: dict[int, PresenceRow] = {}
        self._horizon = Horizon()
        self._cursors: dict[str, int] = {}

    async def open(self) -> JournalState:
        """Open it."""
        self._is_open = True
        state = self._state
        return replace(
            state,
            epochs_since=dict(state.epochs_since),
            streams=dict(state.streams),
            terms=dict(state.terms),
            spools=dict(state.spools),
            stages=dict(state.stages),
            counters=dict(state.counters),
            open_gaps=dict(state.open_gaps),
            present=dict(state.present),
            went=self._went(),
            doubts=dict(state.doubts),
        )

    def _went(self) -> dict[str, int]:
        latest = {row.presence.agent: row.presence for _, row in sorted(self._presences.items())}
        return {agent: it.observed_at for agent, it in latest.items() if it.state == "went"}

    async def close(self) -> None:
        """Close it; idempotent."""
        self._is_open = False

    async def commit(self, plan: Plan) -> None:
        """Execute *plan*. Raises StoreError when it contradicts the journal; nothing of it was kept then."""
        self._require_open()
        self._refuse_repeats(plan)
        for head in plan.heads.values():
            self._heads[head.id] = head
            self._ids[head.key] = head.id
        for change in plan.changes:
            self._changes[change.seq] = change
            self._versions.setdefault(change.object_id, {})[change.version] = change.seq
            first = self._first_observed_at.get(change.object_id, change.observed_at)
            self._first_observed_at[change.object_id] = min(first, change.observed_at)
        for occurrence in plan.occurrences:
            it = occurrence.occurrence
            self._occurrences[occurrence.seq] = occurrence
            self._states.setdefault(it.uid, {})[occurrence.epoch, it.resource_version] = occurrence
        self._gaps.update((row.seq, row) for row in plan.gaps)
        self._presences.update((row.seq, row) for row in plan.presences)
        self._state = following(self._state, plan)

    async def heads(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, Head]:
        """Return the heads of those of *keys* that the journal knows."""
        self._require_open()
        return {key: self._heads[self._ids[key]] for key in keys if key in self._ids}

    async def bodies(self, seqs: Collection[int]) -> dict[int, bytes]:
        """Return the whole object as of each change."""
        self._require_open()
        return {seq: self._body(seq) for seq in seqs if seq in self._changes}

    async def known(self, versions: Collection[tuple[int, Version]]) -> set[tuple[int, Version]]:
        """Return which of the (object id, version) are stored."""
        self._require_open()
        return {it for it in versions if it[1] in self._versions.get(it[0], {})}

    async def below(self, object_id: int, version: Version) -> int | None:
        """Return the seq of the object's highest version below *version*."""
        self._require_open()
        lower = [it for it in self._versions.get(object_id, {}) if it < version]
        return self._versions[object_id][max(lower)] if lower else None

    async def living(self, kind: str, node: str | None, *, but: frozenset[str] = frozenset()) -> list[Head]:
        """Return the heads that are not gone of one kind, of one node, but for some."""
        self._require_open()
        return [
            head
            for _, head in sorted(self._heads.items())
            if head.key.kind == kind and not head.version.gone and node in {None, head.node} and head.key.uid not in but
        ]

    async def occurrence_counts(self, uids: Collection[str]) -> dict[str, tuple[int, int, int]]:
        """Return (epoch, resourceVersion, count) of the highest stored state of each Event."""
        self._require_open()
        highest = {uid: max(self._states[uid]) for uid in uids if uid in self._states}
        return {uid: (*state, self._states[uid][state].occurrence.count) for uid, state in highest.items()}

    async def known_occurrences(self, states: Collection[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
        """Return which of the (uid, epoch, resourceVersion) are stored."""
        self._require_open()
        return {it for it in states if it[1:] in self._states.get(it[0], {})}

    async def prune(self, *, before: int, max_bytes: int, step: int, forgetting: Forgetting) -> Pruned:
        """Delete some of the oldest records."""
        self._require_open()
        due = self._due(before, max_bytes)
        horizon = due[: max(step, 1)]
        if not horizon:
            seq, at = self._horizon
            return Pruned(records=0, horizon_seq=seq, horizon_at=at, more=False, seconds=0.0)
        self._horizon = Horizon(*horizon[-1])
        seq, at = self._horizon
        rows = Rows(heads=self._heads, changes=self._changes, gaps=self._gaps, presences=self._presences)
        dead = [head for head in self._heads.values() if is_dead(rows, head, seq)]
        gone = [row.seq for row in self._rows() if row.seq <= seq and not is_remembered(rows, row, seq)]
        async with forgetting([head.key for head in dead]):
            self._delete(gone, dead)
        more = bool(self._due(before, max_bytes))
        return Pruned(records=len(gone), horizon_seq=seq, horizon_at=at, more=more, seconds=0.0)

    async def cursor(self, name: str) -> int | None:
        """Return how far the reader *name* has come."""
        self._require_open()
        return self._cursors.get(name)

    async def move_cursor(self, name: str, seq: int) -> None:
        """Keep that the reader *name* has come to *seq*."""
        self._require_open()
        self._cursors[name] = seq

    async def transitions(self, seqs: Collection[int]) -> dict[int, Transition]:
        """Return the object before and after each change."""
        self._require_open()
        rows = [self._changes[seq] for seq in seqs if seq in self._changes]
        return {
            row.seq: Transition(self._body(row.base) if row.base in self._changes else None, self._body(row.seq))
            for row in rows
        }

    async def changes(self, query: RecordQuery) -> Page:
        """Return changes by seq."""
        return self._page(self._found_changes(query), query)

    async def occurrences(self, query: RecordQuery) -> Page:
        """Return occurrences by seq."""
        return self._page(self._found_occurrences(query), query)

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """Return the gaps that touch `start` … `to`, the latest row of each id."""
        latest = {row.gap.id: row for row in self._gaps.values()}
        rows = {row.seq: row for row in latest.values()}
        return self._page(self._found_gaps(rows, query, open_or_lost_only=open_or_lost_only), query)

    async def objects(self, query: ObjectQuery) -> Page:
        """Return the cluster as it was at a moment."""
        self._require_open()
        found = islice(self._states_of(query), query.limit + 1)
        states = list(found)
        items = [
            object_item(
                state,
                generation=self._changes[state.head.seq].generation,
                body=self._body(state.head.seq) if query.include_body else None,
            )
            for state in states[: query.limit]
        ]
        last = states[query.limit - 1].head.id if len(states) > query.limit else None
        return Page(items=items, last=last, horizon=self._horizon)

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """Return one object with its body; of several kinds that share the uid, the one that changed last."""
        self._require_open()
        for head in self._of_uid(uid):
            state = self._state_at(head, at)
            if state is not None:
                row = self._changes[state.head.seq]
                detail = Detail(row=row, first_seen_at=self._first_observed_at[head.id])
                return object_item(state, generation=row.generation, body=self._body(row.seq), detail=detail)
        return None

    async def history(self, uid: str, query: RecordQuery) -> Page | None:
        """Return the versions of one object by (epoch, resourceVersion, gone)."""
        self._require_open()
        meant = [head for head in self._of_uid(uid) if not query.kind or head.key.kind == query.kind]
        if not meant:
            return None
        place = query.after or 0
        rows = [self._changes[seq] for _, seq in sorted(self._versions[meant[0].id].items())]
        items: list[bytes] = []
        last: int | None = None
        for seen, row in enumerate((rows if query.ascending else rows[::-1])[place:], place):
            if len(items) == query.limit:
                last = seen
                break
            if wants_change(query, row, meant[0]):
                items.append(change_item(row, meant[0], self._state.cluster))
        since = self._first_observed_at[meant[0].id]
        return Page(items=items, last=last, horizon=self._horizon, since=since)

    async def replay(self, topic: str, query: RecordQuery) -> Stretch:
        """Return up to `limit` records above `after`, and the horizon."""
        query = replace(query, after=query.after or 0, ascending=True)
        topics: dict[str, Callable[[], Iterable[Found]]] = {
            "changes": lambda: self._found_changes(query),
            "occurrences": lambda: self._found_occurrences(query),
            "gaps": lambda: self._found_gaps(self._gaps, query, open_or_lost_only=False),
            "presences": lambda: self._found_presences(query),
        }
        if topic not in topics:
            raise BadQuery("topic", f"topic {topic[:64]!r} cannot be replayed; expected one of {', '.join(topics)}")
        found = list(islice(topics[topic](), query.limit + 1))
        last = found[query.limit - 1][0] if len(found) > query.limit else None
        return Stretch(rows=found[: query.limit], last=last, horizon=self._horizon)

    async def seq_at(self, committed_at: int) -> int:
        """Return the highest seq committed before *committed_at*."""
        self._require_open()
        found = max((row.seq for row in self._rows() if row.committed_at < committed_at), default=0)
        return max(found, self._horizon[0])

    async def facts(self) -> dict[str, int]:
        """Return lastSeq, bytes, oldestCommittedAt, horizonSeq, changes, objects, living."""
        self._require_open()
        horizon_seq, horizon_at = self._horizon
        whole = [(row.seq, row.committed_at) for row in self._rows() if row.seq > horizon_seq]
        return {
            "lastSeq": self._state.last_seq,
            "bytes": self._bytes(),
            "oldestCommittedAt": min(whole)[1] if whole else horizon_at,
            "horizonSeq": horizon_seq,
            "changes": len(self._changes),
            "objects": len(self._heads),
            "living": sum(not head.version.gone for head in self._heads.values()),
        }

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreClosed("the journal is not open")

    def _rows(self) -> Iterator[ChangeRow | OccurrenceRow | GapRow | PresenceRow]:
        for table in (self._changes, self._occurrences, self._gaps, self._presences):
            yield from table.values()

    def _bytes(self) -> int:
        return sum(len(row.patch or b"") + len(row.body or b"") for row in self._changes.values())

    def _due(self, before: int, max_bytes: int) -> list[tuple[int, int]]:
        """Return (seq, committed at) of what lies above the horizon and may go, ascending."""
        is_too_much = max_bytes and self._bytes() > max_bytes
        rows = sorted((row.seq, row.committed_at) for row in self._rows() if row.seq > self._horizon[0])
        return [row for row in rows if is_too_much or row[1] < before]

    def _delete(self, seqs: list[int], dead: list[Head]) -> None:
        for seq in seqs:
            if (change := self._changes.pop(seq, None)) is not None:
                del self._versions[change.object_id][change.version]
            elif (occurrence := self._occurrences.pop(seq, None)) is not None:
                states = self._states[occurrence.occurrence.uid]
                del states[occurrence.epoch, occurrence.occurrence.resource_version]
                if not states:
                    del self._states[occurrence.occurrence.uid]
            else:
                self._gaps.pop(seq, None)
                self._presences.pop(seq, None)
        for head in dead:
            del self._heads[head.id], self._ids[head.key], self._first_observed_at[head.id], self._versions[head.id]

    def _refuse_repeats(self, plan: Plan) -> None:
        seqs = [seq for seq, _ in committed(plan)]
        versions = [(row.object_id, row.version) for row in plan.changes]
        states = [(row.occurrence.uid, row.epoch, row.occurrence.resource_version) for row in plan.occurrences]
        repeated = (
            any(len(set(keys)) < len(keys) for keys in (seqs, versions, states))
            or any(row.seq in seqs for row in self._rows())
            or any(version in self._versions.get(object_id, {}) for object_id, version in versions)
            or any((epoch, number) in self._states.get(uid, {}) for uid, epoch, number in states)
        )
        if repeated:
            raise StoreError("a transaction contradicts the journal: it repeats a version or a seq")

    def _body(self, seq: int) -> bytes:
        row = self._changes[seq]
        if row.body is not None:
            return row.body
        if row.base is None or row.patch is None:
            raise StoreError(f"change {seq} has neither a body nor a base")
        return patches.apply(self._body(row.base), row.patch)

    def _of_uid(self, uid: str) -> list[Head]:
        return sorted((head for head in self._heads.values() if head.key.uid == uid), key=lambda it: -it.seq)

    def _states_of(self, query: ObjectQuery) -> Iterator[ObjectState]:
        for object_id, head in sorted(self._heads.items()):
            if object_id > query.after and wants_object(query, head):
                state = self._state_at(head, query.at)
                if state is not None and (query.include_deleted or not state.head.version.gone):
                    yield state

    def _state_at(self, head: Head, at: int | None) -> ObjectState | None:
        if at is None or head.observed_at <= at:
            return ObjectState(head=head)
        uncertain = False
        for version, seq in sorted(self._versions[head.id].items(), reverse=True):
            row = self._changes[seq]
            if row.observed_at <= at:
                then = structs.replace(head, version=version, seq=seq, observed_at=row.observed_at)
                return ObjectState(head=then, uncertain=uncertain)
            uncertain |= row.verb is Verb.INFERRED_DELETED and row.after is not None and row.after < at
        return None

    def _found_changes(self, query: RecordQuery) -> Iterator[Found]:
        for row in self._walk(self._changes, query):
            head = self._heads[row.object_id]
            if wants_change(query, row, head):
                yield row.seq, change_item(row, head, self._state.cluster)

    def _found_occurrences(self, query: RecordQuery) -> Iterator[Found]:
        for row in self._walk(self._occurrences, query):
            if wants_occurrence(query, row):
                yield row.seq, render_occurrence(row, self._state.cluster)

    def _found_gaps(self, rows: dict[int, GapRow], query: RecordQuery, *, open_or_lost_only: bool) -> Iterator[Found]:
        for row in self._walk(rows, query):
            if wants_gap(query, row, open_or_lost_only=open_or_lost_only):
                yield row.seq, render_gap(row, self._state.cluster)

    def _found_presences(self, query: RecordQuery) -> Iterator[Found]:
        for row in self._walk(self._presences, query):
            yield row.seq, render_presence(row, self._state.cluster)

    def _walk(self, rows: dict[int, Row], query: RecordQuery) -> Iterator[Row]:
        self._require_open()
        for seq in sorted(rows, reverse=not query.ascending):
            if query.after is None or (seq > query.after if query.ascending else seq < query.after):
                yield rows[seq]

    def _page(self, found: Iterator[Found], query: RecordQuery) -> Page:
        items = list(islice(found, query.limit + 1))
        last = items[query.limit - 1][0] if len(items) > query.limit else None
        return Page(items=[item for _, item in items[: query.limit]], last=last, horizon=self._horizon)
