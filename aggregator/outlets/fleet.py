"""
What ingest knows about the present moment, as web and gauges ask for it: agents, journal, trouble.

Not the journal's Presence records: those tell of comings and goings. Ingest implements `Recorder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from kubescribe.wire.records import Presence


@dataclass(slots=True, kw_only=True, frozen=True)
class AgentStatus:
    """
    One agent, connected or remembered as away.

    `since` is the time of its connection or of its leaving, ns. `report` is its last Presence, None before the first
    one. `lag_seconds` is how far what is committed of this agent lies behind, None when unknown; `spool_bytes` is what
    its spool held at the last report.
    """

    agent: str
    node: str
    scope: str
    connected: bool
    since: int
    report: Presence | None
    lag_seconds: float | None
    spool_bytes: int


Covered = Literal["reporting", "adopted", "unreported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """
    One node, and who reports its pods.

    `state` is reporting (its own agent, or one of scope `all`), adopted (the cluster agent) or unreported; `by` names
    the agent. `since` is when its own agent came, or since when it has had none, ns. `is_gone` tells that the Node is
    deleted while not all of its pods are known to be.
    """

    node: str
    state: Covered
    by: str
    since: int
    is_gone: bool


class Fleet(Protocol):
    """Who reports to this aggregator."""

    def agents(self) -> Sequence[AgentStatus]:
        """Return every agent that is connected, or away and not forgotten; never blocks."""
        ...

    def nodes(self) -> Sequence[NodeStatus]:
        """Return every node that exists, or whose pods are not all known to be gone, by name; never blocks."""
        ...


@dataclass(slots=True, kw_only=True, frozen=True)
class Identity:
    """Which journal this is, of which cluster ("" until the first agent told), at which epoch."""

    journal_id: str
    cluster_uid: str
    cluster: str
    epoch: int


class Recorder(Fleet, Protocol):
    """Ingest, as its readers see it; every method answers at once."""

    def identity(self) -> Identity:
        """Return whose journal this is, now."""
        ...

    def trouble(self) -> str:
        """Return why nothing can be committed now (disk full, read-only), "" when all is well."""
        ...
