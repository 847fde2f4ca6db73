"""
What the journal must hold after anything: held against the pretend cluster's own history, by independent means.

Nothing here uses the product's decoding, churn filter or patches: the journal is read with plain SQL for versions, and
through its API for bodies; what is churn is decided here from the whole objects.
"""

import sqlite3
import uuid
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from simulator.history import RESTORED, Record

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


@dataclass(frozen=True, slots=True)
class Lost:
    """A Gap that is lost or open: the stream, and from when to when, ns."""

    stream: str
    start: int
    end: int

    def is_of(self, resource: str) -> bool:
        """Tell whether versions of *resource* may be missing because of it: its stream's, or a whole agent's."""
        name = self.stream.partition("/")[0]
        return name == "agent" or name.partition(".")[0] == resource


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
    """
    An object as the cluster wrote it: every version, and which of them are news.

    `node` is the one that it is on, if it is on any. `standing` is what no restore has undone.
    """

    resource: str
    name: str
    versions: list[Version] = field(default_factory=list)
    news: set[Version] = field(default_factory=set)
    node: str = ""
    standing: list[Record] = field(default_factory=list)
    last_essence: Any = None

    @property
    def kept_as(self) -> str:
        """The resource without its group, as streams are called."""
        return self.resource.partition(".")[0]

    @property
    def stream(self) -> tuple[str, str]:
        """What tells the streams apart in which its versions came."""
        return self.kept_as, self.node

    def restore(self, revision: int) -> None:
        """Stand where it stood at *revision*: what comes then is news if it differs from that."""
        self.standing = [record for record in self.standing if record.revision <= revision]
        self.last_essence = essence(self.standing[-1].body()) if self.standing else None


def lives_of(history: list[Record]) -> dict[str, Life]:
    """Return each object's life by uid, Events and what is not watched left out. An era is an epoch from 1."""
    lives: dict[str, Life] = {}
    for record in history:
        if record.type == RESTORED:
            for life in lives.values():
                life.restore(record.revision)
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
        life.last_essence = now
        life.standing.append(record)
        life.node = body.get("spec", {}).get("nodeName", "") or life.node
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
    gaps: list[Lost] | None = None,
    era: int = 0,
) -> Finding:
    """
    Hold the journal against the cluster's *history* of revisions above *since* up to *until* of the last *era*.

    Each version that is news must be there once, none that the cluster did not write may be, and the heads must be the
    cluster's state. A missing version is forgiven when it was written within one of *gaps* of its own stream, as the
    journal's versions around it in that stream tell, or in an era before the last.
    """
    finding = Finding()
    # The cluster lives on: what was written after its history was asked for cannot be judged.
    lives, rows = lives_of(history), rows_of(journal, (era + 1, history[-1].revision))
    clocks = _clocks(lives, rows)
    for uid, life in lives.items():
        kept = rows.get(uid, [])
        _judge_rows(finding, life, kept, era)
        there = {row.version for row in kept}
        for version in life.versions:
            if version.epoch != era + 1 or not since < version.resource_version <= until:
                continue
            finding.judged += 1
            if version in there or version not in life.news or life.kept_as in REDUCED:
                continue
            if _forgiven(version, clocks[life.stream], [gap for gap in gaps or () if gap.is_of(life.kept_as)]):
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


class _Clock:
    """When the versions of one stream were observed; others come sooner or later."""

    def __init__(self, seen: list[tuple[Version, int]]) -> None:
        self._versions = [version for version, _ in sorted(seen)]
        times = [at for _, at in sorted(seen)]
        self._latest = list(accumulate(times, max))
        self._earliest = list(accumulate(reversed(times), min))[::-1]

    def around(self, version: Version) -> tuple[int, int]:
        """Return when the last one below and the first one above *version* were observed."""
        below, above = bisect_left(self._versions, version), bisect_right(self._versions, version)
        before = self._latest[below - 1] if below else 0
        return before, self._earliest[above] if above < len(self._earliest) else 2**63


def _clocks(lives: dict[str, Life], rows: dict[str, list[Row]]) -> defaultdict[tuple[str, str], _Clock]:
    """Return the clock of each stream by what was watched: what was listed came in no order."""
    seen: defaultdict[tuple[str, str], list[tuple[Version, int]]] = defaultdict(list)
    for uid, kept in rows.items():
        if uid in lives:
            seen[lives[uid].stream] += [
                (row.version, row.observed_at) for row in kept if not row.listed and row.verb != INFERRED
            ]
    return defaultdict(lambda: _Clock([]), {stream: _Clock(it) for stream, it in seen.items()})


def _forgiven(version: Version, clock: _Clock, gaps: list[Lost]) -> bool:
    before, after = clock.around(version)
    return any(gap.start <= after and before <= gap.end for gap in gaps)
