"""What a test tells the journal: plans as ingest would make them, from as few words as possible."""

import json
from itertools import count

from aggregator.records import (
    ChangeRow,
    GapRow,
    Head,
    JournalState,
    ObjectKey,
    OccurrenceRow,
    Plan,
    PresenceRow,
    Verb,
    Version,
)
from aggregator.store import patches
from kubescribe.wire.records import Gap, ObjectReference, Occurrence, Presence

KEY_EVERY = 4
"""Patches between key versions: few, so that short tests have some."""


def uid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def pod_body(name: str, **spec: object) -> bytes:
    return json.dumps({"kind": "Pod", "metadata": {"name": name}, "spec": spec}).encode()


class Story:
    """
    Makes rows with growing seqs and remembers what a store must answer.

    With the state of a journal it goes on behind what that holds, of which it remembers nothing.
    """

    def __init__(self, behind: JournalState | None = None) -> None:
        self.seqs = count(behind.last_seq + 1 if behind else 1)
        self.ids = count(behind.last_object_id + 1 if behind else 1)
        self.heads: dict[ObjectKey, Head] = {}
        self.bodies: dict[int, bytes] = {}
        self.versions: dict[int, dict[Version, int]] = {}
        self.plan = Plan(cluster="test", cluster_uid="c1")
        self.committed_at = 1_000_000

    def take(self) -> Plan:
        plan, self.plan = self.plan, Plan()
        self.committed_at += 1000
        return plan

    def pod(
        self,
        name: str,
        rv: int,
        *,
        at: int | None = None,
        epoch: int = 1,
        kind: str = "Pod",
        namespace: str = "shop",
        node: str = "n1",
        uid: str = "",
        gone: bool = False,
        after: int | None = None,
        manager: str = "kubelet",
        body: bytes | None = None,
    ) -> ChangeRow:
        uid = uid or uid_of(sum(name.encode()) * 1000 + len(name))
        key, version = ObjectKey(kind, uid), Version(epoch, rv, gone)
        head = self.heads.get(key)
        object_id = head.id if head else next(self.ids)
        stored = self.versions.setdefault(object_id, {})
        lower = max((it for it in stored if it < version), default=None)
        base = None if lower is None else stored[lower]
        late = head is not None and version < head.version
        if body is None:
            body = self.bodies[base] if gone and base else pod_body(name, rv=rv, epoch=epoch)
        depth = head.depth + 1 if head and not late else 0
        is_key = base is None or late or depth >= KEY_EVERY
        seq = next(self.seqs)
        observed_at = rv * 10 if at is None else at
        verb = Verb.ADDED if base is None else Verb.MODIFIED
        if gone:
            verb = Verb.DELETED if after is None else Verb.INFERRED_DELETED
        row = ChangeRow(
            seq=seq,
            object_id=object_id,
            version=version,
            verb=verb,
            observed_at=observed_at,
            committed_at=self.committed_at,
            late=late,
            listed=False,
            generation=rv % 3,
            base=base,
            patch=None if base is None else patches.diff(self.bodies[base], body),
            body=body if is_key else None,
            actor=json.dumps({"manager": manager}).encode() if manager else None,
            after=after,
        )
        self.plan.changes.append(row)
        self.bodies[seq] = body
        stored[version] = seq
        if not late:
            self.heads[key] = self.plan.heads[object_id] = Head(
                id=object_id,
                key=key,
                namespace=namespace,
                name=name,
                node=node,
                version=version,
                seq=seq,
                depth=0 if is_key else depth,
                observed_at=max(observed_at, head.observed_at if head else 0),
            )
        return row

    def event(
        self, name: str, rv: int, *, about: str = "web-1", reason: str = "Killing", count: int = 1
    ) -> OccurrenceRow:
        it = Occurrence(
            stream="events",
            term=1,
            uid=uid_of(sum(name.encode())),
            name=name,
            resource_version=rv,
            observed_at=rv * 10,
            namespace="shop",
            reason=reason,
            message=f"{reason} {about}",
            count=count,
            regarding=ObjectReference(kind="Pod", namespace="shop", name=about, uid=uid_of(sum(about.encode()))),
            reporter="kubelet",
        )
        row = OccurrenceRow(seq=next(self.seqs), epoch=1, added=1, committed_at=self.committed_at, occurrence=it)
        self.plan.occurrences.append(row)
        return row

    def gap(self, name: str, start: int, to: int | None, outcome: str = "open", *, stream: str = "pods") -> GapRow:
        gap = Gap(id=name, stream=stream, cause="expired", start=start, to=to, outcome=outcome)
        row = GapRow(seq=next(self.seqs), committed_at=self.committed_at, gap=gap)
        self.plan.gaps.append(row)
        return row

    def presence(self, agent: str, state: str) -> PresenceRow:
        it = Presence(agent=agent, state=state, observed_at=self.committed_at)
        row = PresenceRow(seq=next(self.seqs), committed_at=self.committed_at, presence=it)
        self.plan.presences.append(row)
        return row
