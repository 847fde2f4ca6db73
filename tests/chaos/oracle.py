"""
What the journal must hold after anything: held against the pretend cluster's own history, by independent means.

Nothing here uses the product's decoding, churn filter or patches: the journal is read with plain SQL for versions, and
through its API for bodies; what is churn is decided here from the whole objects.
"""

import sqlite3
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.history import Record

REDUCED = {"replicasets": "metadata only", "endpointslices": "ready counts only"}
"""Resources of which the product keeps less than the whole: which of their versions are churn is not judged here."""

NOT_WATCHED = {"leases", "controllerrevisions", "secrets"}

HEARTBEATS = {"lastHeartbeatTime", "lastProbeTime", "renewTime", "reconciledAt"}
LEADER = "control-plane.alpha.kubernetes.io/leader"
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version as both sides know it."""

    epoch: int
    resource_version: int
    gone: bool


@dataclass(slots=True)
class Row:
    """A version in the journal."""

    version: Version
    seq: int
    verb: int
    late: bool
    observed_at: int
    listed: bool


@dataclass(slots=True)
class Finding:
    """Everything that is wrong, in words; empty when nothing is."""

    problems: list[str] = field(default_factory=list)
    judged: int = 0
    missing_in_gaps: int = 0

    def add(self, problem: str) -> None:
        """Note a problem; the first fifty are enough."""
        if len(self.problems) < 50:
            self.problems.append(problem)


def essence(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Return an object without what changes without anything happening."""
    if isinstance(value, dict):
        return {
            key: essence(item, (*path, key))
            for key, item in value.items()
            if key not in HEARTBEATS
            and not (path == ("metadata",) and key in {"managedFields", "resourceVersion", "generation", "selfLink"})
            and not (path == ("metadata", "annotations") and (key == LEADER or "last-applied" in key))
        }
    if isinstance(value, list):
        return [essence(item, (*path, "[]")) for item in value]
    return value


@dataclass(slots=True)
class Life:
    """An object as the cluster wrote it: every version, and which of them are news."""

    resource: str
    name: str
    versions: list[Version] = field(default_factory=list)
    news: set[Version] = field(default_factory=set)
    last: Any = None
    last_essence: Any = None


def lives_of(history: list[Record]) -> dict[str, Life]:
    """Return each object's life by uid, Events and what is not watched left out. An era is an epoch from 1."""
    lives: dict[str, Life] = {}
    for record in history:
        if record.resource.partition(".")[0] in NOT_WATCHED or not record.uid or record.resource.startswith("events"):
            continue
        if record.type not in {"ADDED", "MODIFIED", "DELETED"}:
            continue
        life = lives.setdefault(record.uid, Life(record.resource, f"{record.namespace}/{record.name}"))
        version = Version(record.era + 1, record.revision, record.type == "DELETED")
        body = record.body()
        now = essence(body)
        life.versions.append(version)
        if version.gone or record.type == "ADDED" or now != life.last_essence:
            life.news.add(version)
        life.last, life.last_essence = body, now
    return lives


def rows_of(journal: Path, until: tuple[int, int]) -> dict[str, list[Row]]:
    """Return the journal's versions up to *until* of each object by uid, by (epoch, resourceVersion, gone)."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for uid, epoch, resource_version, gone, seq, verb, late, observed_at, listed in connection.execute(
            "SELECT o.uid, c.epoch, c.resource_version, c.gone, c.seq, c.verb, c.late, c.observed_at, c.listed"
            " FROM changes c JOIN objects o ON o.id = c.object WHERE (c.epoch, c.resource_version) <= (?, ?)"
            " ORDER BY c.epoch, c.resource_version, c.gone",
            until,
        ):
            key = str(uuid.UUID(bytes=uid)) if isinstance(uid, bytes) else uid
            version = Version(epoch, resource_version, bool(gone))
            rows[key].append(Row(version, seq, verb, bool(late), observed_at, bool(listed)))
    connection.close()
    return rows


INFERRED = 4


def judge(
    history: list[Record],
    journal: Path,
    *,
    since: int,
    until: int,
    gaps: list[tuple[int, int]] | None = None,
    era: int = 0,
) -> Finding:
    """
    Hold the journal against the cluster's *history* of revisions above *since* up to *until* of the last *era*.

    Each version that is news must be there once, none that the cluster did not write may be, and the heads must be the
    cluster's state. A missing version is forgiven when it was written within one of *gaps* (ns), as the journal's own
    versions around it tell, or in an era before the last.
    """
    finding = Finding()
    # The cluster lives on: what was written after its history was asked for cannot be judged.
    lives, rows = lives_of(history), rows_of(journal, (era + 1, history[-1].revision))
    clock = _clock(rows)
    for uid, life in lives.items():
        kept = rows.get(uid, [])
        _judge_rows(finding, life, kept, era)
        there = {row.version for row in kept}
        for version in life.versions:
            if version.epoch != era + 1 or not since < version.resource_version <= until:
                continue
            finding.judged += 1
            if version in there or version not in life.news or life.resource.partition(".")[0] in REDUCED:
                continue
            if _forgiven(version, clock, gaps or []):
                finding.missing_in_gaps += 1
            else:
                finding.add(f"missing: {life.resource} {life.name} {version}")
        _judge_state(finding, life, kept, until, era)
    for uid, kept in rows.items():
        if uid not in lives:
            finding.add(f"the cluster never had {uid}: {kept[0].version}")
    return finding


def _judge_rows(finding: Finding, life: Life, kept: list[Row], era: int) -> None:
    written = set(life.versions)
    seen: set[Version] = set()
    last_seq = 0
    for row in kept:
        if row.version in seen:
            finding.add(f"twice: {life.resource} {life.name} {row.version}")
        seen.add(row.version)
        if row.verb != INFERRED and row.version not in written and era == 0:
            finding.add(f"never written: {life.resource} {life.name} {row.version}")
        if not row.late and row.version.epoch == era + 1:
            if row.seq < last_seq:
                finding.add(f"out of order without being late: {life.resource} {life.name} {row.version}")
            last_seq = row.seq


def _judge_state(finding: Finding, life: Life, kept: list[Row], until: int, era: int) -> None:
    """Judge the state at *until*: alive as the cluster has it, with the last version that is news."""
    known = [version for version in life.versions if version.epoch <= era + 1 and _before(version, until, era)]
    if not known:
        return
    last = known[-1]
    alive = not last.gone
    if alive and era and last.epoch != era + 1:
        return  # written before a restore: whether the restored store has it is judged by its later versions
    head = max(
        (row.version for row in kept if row.version.epoch < era + 1 or row.version.resource_version <= until),
        default=None,
    )
    if head is None:
        # One that is known by a later version only was listed after *until*; what lies between is judged by the gaps.
        if alive and not kept:
            finding.add(f"unknown: {life.resource} {life.name} {last}")
        return
    if head.gone == alive and (alive or last.epoch == era + 1):
        finding.add(
            f"{'dead' if head.gone else 'alive'} in the journal: {life.resource} {life.name} {last}, head {head}"
        )


def _before(version: Version, until: int, era: int) -> bool:
    return version.epoch < era + 1 or version.resource_version <= until


def _clock(rows: dict[str, list[Row]]) -> list[tuple[int, int]]:
    """Return (resourceVersion, observedAt) of what was watched, ascending: one store has one growing revision."""
    return sorted(
        (row.version.resource_version, row.observed_at)
        for kept in rows.values()
        for row in kept
        if not row.listed and row.verb != INFERRED
    )


def _forgiven(version: Version, clock: list[tuple[int, int]], gaps: list[tuple[int, int]]) -> bool:
    if not gaps:
        return False
    before = max((at for rv, at in clock if rv < version.resource_version), default=0)
    after = min((at for rv, at in clock if rv > version.resource_version), default=2**63)
    return any(start <= after and before <= end for start, end in gaps)
