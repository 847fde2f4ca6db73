"""
The journal in memory: the same promises without a disk, in the plainest way. For tests and short looks.

Every read walks everything it keeps; what the SQLite store finds by an index is found here by looking.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from secrets import token_bytes
from typing import TypeVar
from uuid import uuid4

from aggregator.errors import BadQuery, StoreClosed, StoreError
from aggregator.records import (
    ChangeRow,
    GapRow,
    Head,
    JournalState,
    ObjectKey,
    ObjectQuery,
    OccurrenceRow,
    Page,
    Plan,
    PresenceRow,
    RecordQuery,
    SnapshotStage,
    Verb,
    Version,
)
from aggregator.rendering import render_gap, render_occurrence, render_presence
from aggregator.store import patches
from aggregator.store.filtering import wants_change, wants_gap, wants_object, wants_occurrence
from aggregator.store.views import Detail, ObjectState, change_item, object_item

Found = tuple[int, bytes]
Row = TypeVar("Row")


class MemoryJournal:
    """A Journal (see store/base.py) for as long as the process lives; opened again, it is what it was."""

    def __init__(self) -> None:
        self._is_open = False
        self._state = JournalState(
            journal_id=uuid4().hex,
            redaction_key=token_bytes(32),
            cluster_uid="",
            cluster="",
            epoch=1,
            last_seq=0,
            last_object_id=0,
            streams={},
            terms={},
            spools={},
            stages={},
            counters={},
            open_gaps={},
            present={},
        )
        self._heads: dict[int, Head] = {}
        self._ids: dict[ObjectKey, int] = {}
        self._changes: dict[int, ChangeRow] = {}
        self._versions: dict[int, dict[Version, int]] = {}
        self._occurrences: dict[int, OccurrenceRow] = {}
        self._states: dict[str, dict[tuple[int, int], OccurrenceRow]] = {}
        self._gaps: dict[int, GapRow] = {}
        self._presences: dict[int, PresenceRow] = {}

    async def open(self) -> JournalState:
        """Open it."""
        self._is_open = True
        state = self._state
        return replace(
            state,
            streams=dict(state.streams),
            terms=dict(state.terms),
            spools=dict(state.spools),
            stages=dict(state.stages),
            counters=dict(state.counters),
            open_gaps=dict(state.open_gaps),
            present=dict(state.present),
        )

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
        for occurrence in plan.occurrences:
            it = occurrence.occurrence
            self._occurrences[occurrence.seq] = occurrence
            self._states.setdefault(it.uid, {})[occurrence.epoch, it.resource_version] = occurrence
        self._gaps.update((row.seq, row) for row in plan.gaps)
        self._presences.update((row.seq, row) for row in plan.presences)
        self._state = _following(self._state, plan)

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

    async def living(self, kind: str, node: str | None) -> list[Head]:
        """Return the heads that are not gone of one kind, of one node."""
        self._require_open()
        return [
            head
            for _, head in sorted(self._heads.items())
            if head.key.kind == kind and not head.version.gone and node in {None, head.node}
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

    async def changes(self, query: RecordQuery) -> Page:
        """Return changes by seq."""
        return _page(self._found_changes(query), query)

    async def occurrences(self, query: RecordQuery) -> Page:
        """Return occurrences by seq."""
        return _page(self._found_occurrences(query), query)

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """Return the gaps that touch `start` … `to`, the latest row of each id."""
        latest = {row.gap.id: row for row in self._gaps.values()}
        rows = {row.seq: row for row in latest.values()}
        return _page(self._found_gaps(rows, query, open_or_lost_only=open_or_lost_only), query)

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
        return Page(items=items, last=states[query.limit - 1].head.id if len(states) > query.limit else None)

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """Return one object with its body; of several kinds that share the uid, the one that changed last."""
        self._require_open()
        for head in self._of_uid(uid):
            state = self._state_at(head, at)
            if state is not None:
                row = self._changes[state.head.seq]
                detail = Detail(row=row, first_seen_at=self._first_observed_at(head.id))
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
        last = place
        for seen, row in enumerate((rows if query.ascending else rows[::-1])[place:], place + 1):
            if len(items) == query.limit:
                return Page(items=items, last=last)
            last = seen
            if wants_change(query, row, meant[0]):
                items.append(change_item(row, meant[0], self._state.cluster))
        return Page(items=items, last=None)

    async def replay(self, topic: str, query: RecordQuery) -> list[tuple[int, bytes]]:
        """Return up to `limit` records above `after`."""
        query = replace(query, after=query.after or 0, ascending=True)
        topics: dict[str, Callable[[], Iterable[Found]]] = {
            "changes": lambda: self._found_changes(query),
            "occurrences": lambda: self._found_occurrences(query),
            "gaps": lambda: self._found_gaps(self._gaps, query, open_or_lost_only=False),
            "presences": lambda: self._found_presences(query),
        }
        if topic not in topics:
            raise BadQuery("topic", f"topic {topic[:64]!r} cannot be replayed; expected one of {', '.join(topics)}")
        return list(islice(topics[topic](), query.limit))

    async def seq_at(self, committed_at: int) -> int:
        """Return the highest seq committed before *committed_at*."""
        self._require_open()
        return max((row.seq for row in self._rows() if row.committed_at < committed_at), default=0)

    async def facts(self) -> dict[str, int]:
        """Return lastSeq, bytes, oldestCommittedAt, changes, objects, living."""
        self._require_open()
        return {
            "lastSeq": self._state.last_seq,
            "bytes": sum(len(row.patch or b"") + len(row.body or b"") for row in self._changes.values()),
            "oldestCommittedAt": min((row.committed_at for row in self._rows()), default=0),
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

    def _refuse_repeats(self, plan: Plan) -> None:
        seqs = [seq for seq, _ in _committed(plan)]
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

    def _first_observed_at(self, object_id: int) -> int:
        return min(self._changes[seq].observed_at for seq in self._versions[object_id].values())

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
                then = replace(head, version=version, seq=seq, observed_at=row.observed_at)
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


def _page(found: Iterator[Found], query: RecordQuery) -> Page:
    items = list(islice(found, query.limit + 1))
    last = items[query.limit - 1][0] if len(items) > query.limit else None
    return Page(items=[item for _, item in items[: query.limit]], last=last)


def _following(state: JournalState, plan: Plan) -> JournalState:
    """Return the state that *plan* leaves."""
    gaps = dict(state.open_gaps)
    for row in plan.gaps:
        gaps.pop(row.gap.id, None)
        if row.gap.outcome == "open":
            gaps[row.gap.id] = row.gap
    present = dict(state.present)
    for it in plan.presences:
        present.pop(it.presence.agent, None)
        if it.presence.state == "came":
            present[it.presence.agent] = it.presence
    counters = dict(state.counters)
    for key, value in plan.counters.items():
        counters[key] = counters.get(key, 0) + value
    return replace(
        state,
        cluster_uid=state.cluster_uid if plan.cluster_uid is None else plan.cluster_uid,
        cluster=state.cluster if plan.cluster is None else plan.cluster,
        epoch=state.epoch if plan.epoch is None else plan.epoch,
        last_seq=max(state.last_seq, *(seq for seq, _ in _committed(plan)), 0),
        last_committed_at=max(state.last_committed_at, *(at for _, at in _committed(plan)), 0),
        last_object_id=max([state.last_object_id, *plan.heads]),
        streams=state.streams | plan.streams,
        terms=state.terms | plan.terms,
        spools=state.spools | plan.spools,
        stages=_stages(state.stages, plan),
        counters=counters,
        open_gaps=gaps,
        present=present,
    )


def _committed(plan: Plan) -> list[tuple[int, int]]:
    """Return (seq, committed at) of each row."""
    rows = (plan.changes, plan.occurrences, plan.gaps, plan.presences)
    return [pair for table in rows for pair in ((row.seq, row.committed_at) for row in table)]


def _stages(stages: dict[str, SnapshotStage], plan: Plan) -> dict[str, SnapshotStage]:
    found = dict(stages)
    for name, stage in plan.stages.items():
        before = found.pop(name, None)
        if stage is not None:
            uids = before.uids if before is not None and before.id == stage.id else frozenset()
            found[name] = replace(stage, uids=stage.uids | uids)
    for name, part in plan.staged:
        if name in found:
            found[name] = replace(found[name], uids=found[name].uids.union(part))
    return found
