"""The values of a question about lines and of its answer; nothing here does I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kubescribe.labels.workloads import Workload
from kubescribe.lines.levels import Level, at_least
from kubescribe.wire.link import LinePod, LineQuery

MAX_LIMIT = 1000


@dataclass(slots=True, kw_only=True, frozen=True)
class LogQuery:
    """
    The parameters of `GET logs`; equal for equal questions, so that those who follow the same can share.

    `pod`, `workload` or `uid` says whose lines; `since` is inclusive, `until` exclusive, ns, 0 for open. `level` means
    that level and the graver ones.
    """

    namespace: str = ""
    pod: str = ""
    workload: str = ""
    workload_kind: str = ""
    uid: str = ""
    container: str = ""
    grep: str = ""
    level: Level = ""
    since: int = 0
    until: int = 0
    previous: bool = False
    limit: int = 100
    follow: bool = False

    def of_node(self, pods: Sequence[LinePod], *, limit: int, since: int = 0) -> LineQuery:
        """Return what an agent is asked about *pods*."""
        return LineQuery(
            pods=tuple(pods),
            containers=(self.container,) if self.container else (),
            previous=self.previous,
            since=max(since, self.since),
            until=self.until,
            limit=limit,
            grep=self.grep,
            levels=at_least(self.level) if self.level else (),
            follow=self.follow,
        )


class Latest(NamedTuple):
    """The last instance of a container that its pod told of: which restart, and since when (ns, 0 for not known)."""

    container: str
    restart: int
    began_at: int


@dataclass(slots=True, kw_only=True, frozen=True)
class Target:
    """
    A pod whose lines are meant; `gone_at` (ns) is 0 while it lives, `created_at` where it is not known.

    `has_run` tells whether any of its containers ever ran, as far as was seen: else there is no line to miss.
    `latest` is empty where the kubelet's word of the pod was never seen. `containers` are all that it has, by name.
    """

    pod: LinePod
    uid: str
    node: str
    workload: Workload
    gone_at: int = 0
    created_at: int = 0
    has_run: bool = True
    latest: tuple[Latest, ...] = ()
    containers: tuple[str, ...] = ()

    def may_have_earlier(self, container: str) -> bool:
        """Tell whether *container* ("" for any) may have had instances before the last one."""
        return not self.latest or any(it.restart for it in self.of(container))

    def of(self, container: str) -> list[Latest]:
        """Return the last instances of *container*, of all for ""."""
        return [it for it in self.latest if container in ("", it.container)]

    @property
    def title(self) -> str:
        """The pod in words."""
        return f"pod {self.pod.namespace}/{self.pod.name}"


@dataclass(slots=True, kw_only=True, frozen=True)
class LogLine:
    """A line with whose it is. `source` is `node` or `loki`."""

    at: int
    target: Target
    container: str
    restart: int
    stream: str
    level: str
    text: str
    source: str = "node"

    @property
    def identity(self) -> tuple[int, str, str, str]:
        """What two tellings of the same line have in common; the text may have been cut by one of them."""
        return (self.at, self.target.pod.name, self.container, self.text[:256])


@dataclass(slots=True, kw_only=True)
class Answer:
    """
    The newest lines, oldest first.

    `older` is the `until` with which the lines before these are asked for, 0 when these are all. `missing` says in
    words what the answer lacks.
    """

    lines: list[LogLine] = field(default_factory=list)
    older: int = 0
    missing: list[str] = field(default_factory=list)
    gaps: list[bytes] = field(default_factory=list)
