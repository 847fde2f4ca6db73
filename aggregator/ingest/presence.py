"""
Which agents are here, and the gap that opens when one is not.

While an agent is away nothing that it reports is known, so an open `Gap` (cause agent_absent) stands for it. It is
closed as recovered once the agent is back, has sent everything that it spooled and sees with every stream; what it
could not make good is a gap of its own (expired, spool_full, …).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft, Ledger
from aggregator.ingest.nodes import UNSCHEDULED, pods_of
from aggregator.outlets.fleet import AgentStatus
from aggregator.records import Facets, PresenceRow, Published
from aggregator.rendering import render_presence
from kubescribe.wire.link import Hello
from kubescribe.wire.records import Gap, Presence, StreamHealth
from kubescribe.wire.streams import selector_of

SEEING = frozenset({"live", "forbidden", "notServed"})
"""States of a stream that need no more time: it is up to date, or it never will be and says so."""


_ON_ITS_WAY = 2_000_000_000
"""ns: what was seen this shortly before a report is not a backlog but the flow."""


def absence_gap_id(agent: str, instance: str, since: int) -> str:
    """Return the id of the gap for an agent that went at *since*."""
    return f"absent/{agent}/{instance}/{since}"


def came(draft: Draft, hello: Hello, now: int) -> None:
    """Write that an agent is here."""
    presence = Presence(
        agent=hello.agent,
        state="came",
        observed_at=now,
        node=hello.node,
        scope=hello.scope,
        version=hello.version,
        instance=hello.instance,
    )
    _write(draft, presence)


def went(draft: Draft, agent: str, since: int, *, spool_id: str = "") -> None:
    """
    Write that an agent is away since *since*, and open its gap; without a known agent nothing is written.

    A cluster agent that held no stream, by its *spool_id* if that is known, was a standby: nobody misses what it sees.
    """
    present = draft.present(agent)
    if present is None:
        return
    _write(draft, Presence(agent=agent, state="went", observed_at=since, node=present.node, scope=present.scope))
    if present.scope == "cluster" and spool_id and not _holds_any(draft, spool_id):
        return
    gap_id = absence_gap_id(agent, present.instance, since)
    add_gap(draft, Gap(id=gap_id, stream=f"agent/{agent}", cause="agent_absent", start=since))


def _holds_any(draft: Draft, spool_id: str) -> bool:
    rows = {**draft.ledger.streams, **draft.plan.streams}
    return any(row.holder == spool_id for row in rows.values())


def is_caught_up(report: Presence) -> bool:
    """Tell whether the agent had sent what it saw: the rest is a flow, not a backlog."""
    oldest = report.oldest_unsent_at
    # Both times are the agent's: a clock that is wrong does not matter. Under load something is always on its way.
    return oldest is None or report.observed_at - oldest < _ON_ITS_WAY


def made_good(ledger: Ledger, report: Presence, spool_id: str) -> list[Gap]:
    """
    Return the absence gaps that *report*, of the agent with that spool, shows to be recovered, closed at its time.

    Its own, once it sees with every stream. Of others those whose streams it holds and sees with: the cluster agent's
    that adopted a node, and that of one cluster agent that took over from another. What was missed between is a gap of
    the stream.
    """
    if not is_caught_up(report) or not report.streams:
        return []
    seeing = {stream.name for stream in report.streams if stream.state in SEEING and _holds(ledger, spool_id, stream)}
    sees_all = all(stream.state in SEEING for stream in report.streams)
    agents = [report.agent] if sees_all else []
    nodes = [node for stream in seeing if (node := selector_of(stream).node) and stream == pods_of(node)]
    agents += [f"node/{node}" for node in nodes if f"node/{node}" != report.agent]
    found = [gap for agent in agents for gap in ledger.open_gaps.of(f"agent/{agent}")]
    if UNSCHEDULED in seeing and sees_all:
        own = f"agent/{report.agent}"
        found += [
            gap for gap in ledger.open_gaps.values() if gap.stream.startswith("agent/cluster/") and gap.stream != own
        ]
    return [closed(gap, report.observed_at) for gap in found if gap.cause == "agent_absent"]


def _holds(ledger: Ledger, spool_id: str, stream: StreamHealth) -> bool:
    row = ledger.streams.get(stream.name)
    return row is not None and row.holder == spool_id


def closed(gap: Gap, to: int) -> Gap:
    """Return *gap* closed as recovered."""
    return Gap(
        id=gap.id,
        stream=gap.stream,
        cause=gap.cause,
        start=gap.start,
        to=max(to, gap.start),
        outcome="recovered",
        count=gap.count,
        bytes=gap.bytes,
        detail=gap.detail,
    )


def _write(draft: Draft, presence: Presence) -> None:
    row = PresenceRow(seq=draft.next_seq(), committed_at=draft.committed_at, presence=presence)
    draft.plan.presences.append(row)
    facets = Facets(name=presence.agent, observed_at=presence.observed_at)
    json = render_presence(row, draft.ledger.cluster)
    draft.published.append(
        Published(seq=row.seq, topic="presence", committed_at=row.committed_at, facets=facets, json=json)
    )


class Roster:
    """The agents of this process's life, in memory: who is connected, and each one's last report."""

    def __init__(self, now_ns: Callable[[], int], present: Iterable[Presence] = ()) -> None:
        self._now_ns = now_ns
        self._agents: dict[str, AgentStatus] = {
            it.agent: _status(it.agent, it.node, it.scope, connected=False, since=it.observed_at) for it in present
        }

    def came(self, hello: Hello, now: int) -> None:
        """Note that an agent connected."""
        before = self._agents.get(hello.agent)
        status = _status(hello.agent, hello.node, hello.scope, connected=True, since=now)
        self._agents[hello.agent] = replace(status, report=before.report if before else None)

    def went(self, agent: str, now: int) -> None:
        """Note that an agent is away."""
        if agent in self._agents:
            self._agents[agent] = replace(self._agents[agent], connected=False, since=now)

    def forget(self, agent: str) -> None:
        """Forget an agent that is away: others do its work, or there is nothing left to do."""
        if agent in self._agents and not self._agents[agent].connected:
            del self._agents[agent]

    def report(self, presence: Presence) -> None:
        """Keep an agent's last word about itself."""
        if presence.agent in self._agents:
            self._agents[presence.agent] = replace(
                self._agents[presence.agent], report=presence, spool_bytes=presence.spool_bytes
            )

    def agents(self) -> list[AgentStatus]:
        """Return all of them, by name; the lag is counted from the oldest record that an agent had not sent."""
        now = self._now_ns()
        return [replace(status, lag_seconds=_lag(status, now)) for _, status in sorted(self._agents.items())]


def _status(agent: str, node: str, scope: str, *, connected: bool, since: int) -> AgentStatus:
    return AgentStatus(
        agent=agent,
        node=node,
        scope=scope,
        connected=connected,
        since=since,
        report=None,
        lag_seconds=None,
        spool_bytes=0,
    )


def _lag(status: AgentStatus, now: int) -> float | None:
    if not status.connected:
        return (now - status.since) / 1e9
    if status.report is None:
        return None
    oldest = status.report.oldest_unsent_at
    return 0.0 if oldest is None else max(0.0, (now - oldest) / 1e9)
