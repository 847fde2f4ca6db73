"""`GET agents` and `GET status`: what may be trusted of everything else that the API says."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from aggregator.outlets.fleet import AgentStatus, NodeStatus
from aggregator.records import RecordQuery
from aggregator.web.answers import answer_json, encode, render_list
from aggregator.web.coverage import render_nodes
from aggregator.web.listing import Listings
from aggregator.web.parameters import NONE, STATUS
from aggregator.web.parts import WebParts
from kubescribe.wire.times import to_rfc3339


class Statuses:
    """Handlers of the routes about ourselves."""

    def __init__(self, parts: WebParts, listings: Listings) -> None:
        self._parts = parts
        self._listings = listings

    async def agents(self, request: web.Request) -> web.Response:
        """GET agents."""
        NONE.read(request.query.items())
        now = self._parts.now_ns()
        gaps = await self._listings.gaps_in(RecordQuery(start=now - 1, to=now))
        items = [encode(agent) for agent in self._agents()]
        return await answer_json(request, render_list(items, next_path=None, complete=not gaps, gaps=gaps))

    async def status(self, request: web.Request) -> web.Response:
        """GET status."""
        values = STATUS.read(request.query.items())
        parts = self._parts
        now = parts.now_ns()
        # Without `from` it is about the journal as it stands: its horizon is told, and is no reason to be incomplete.
        asked = RecordQuery(start=values.get("start"), to=values.get("to"))
        gaps = await self._listings.gaps_in(asked, since=now if asked.start is None else None)
        facts = await parts.journal.facts()
        identity, trouble, agents = parts.recorder.identity(), parts.recorder.trouble(), parts.recorder.agents()
        nodes = parts.recorder.nodes()
        connected = [agent for agent in agents if agent.connected]
        lags = [agent.lag_seconds for agent in connected if agent.lag_seconds is not None]
        body = {
            "type": "status",
            "state": _state(trouble, gaps, agents, nodes),
            "trouble": trouble or None,
            "time": to_rfc3339(now),
            "version": parts.version,
            "cluster": identity.cluster or None,
            "clusterUid": identity.cluster_uid or None,
            "journal": {
                "journalId": identity.journal_id,
                "epoch": identity.epoch,
                "lastSeq": facts.get("lastSeq", 0),
                "bytes": facts.get("bytes", 0),
                "changes": facts.get("changes", 0),
                "objects": facts.get("objects", 0),
                "living": facts.get("living", 0),
                "horizon": _time(facts.get("oldestCommittedAt")),
                "writable": not trouble,
            },
            "lagSeconds": max(lags, default=None),
            "reporting": {"connected": len(connected), "away": len(agents) - len(connected)},
            "nodes": render_nodes(nodes),
            "agents": self._agents(),
            "complete": not gaps,
            "gaps": [msgspec.Raw(gap) for gap in gaps],
            "feed": {"clients": parts.hub.client_count, "lastSeq": parts.hub.last_seq},
            "apiServerRequests": _requests(agents),
        }
        return await answer_json(request, encode(body))

    def _agents(self) -> list[dict[str, Any]]:
        """Return every agent, and for each node that never had one the agent that it lacks; by name."""
        recorder = self._parts.recorder
        agents, nodes = recorder.agents(), recorder.nodes()
        covered_by = {node.node: node.by for node in nodes if node.state == "adopted"}
        known = {agent.node for agent in agents}
        missing = [missing_agent(node) for node in nodes if node.state != "reporting" and node.node not in known]
        return [
            render_agent(agent, covered_by.get(agent.node, ""))
            for agent in sorted([*agents, *missing], key=lambda agent: agent.agent)
        ]


def missing_agent(node: NodeStatus) -> AgentStatus:
    """Return the agent that *node* should have."""
    return AgentStatus(
        agent=f"node/{node.node}",
        node=node.node,
        scope="node",
        connected=False,
        since=node.since,
        report=None,
        lag_seconds=None,
        spool_bytes=0,
    )


def render_agent(agent: AgentStatus, covered_by: str) -> dict[str, Any]:
    """Return one agent as the API shows it, its streams included; *covered_by* names who does its work."""
    report = agent.report
    return {
        "type": "agent",
        "agent": agent.agent,
        "node": agent.node or None,
        "scope": agent.scope,
        "connected": agent.connected,
        "since": to_rfc3339(agent.since),
        "coveredBy": covered_by or None,
        "version": report.version if report else None,
        "profile": (report.profile or None) if report else None,
        "reportedAt": to_rfc3339(report.observed_at) if report else None,
        "lagSeconds": agent.lag_seconds,
        "spoolBytes": agent.spool_bytes,
        "spoolRecords": report.spool_records if report else None,
        "oldestUnsentAt": _time(report.oldest_unsent_at) if report else None,
        "droppedRecords": report.dropped_records if report else None,
        "apiServerRequests": report.api_requests if report else {},
        "streams": [
            {
                "name": stream.name,
                "state": stream.state,
                "seenAt": _time(stream.seen_at),
                "resourceVersion": str(stream.resource_version),
                "detail": stream.detail or None,
            }
            for stream in (report.streams if report else ())
        ],
    }


def _state(trouble: str, gaps: list[bytes], agents: Sequence[AgentStatus], nodes: Sequence[NodeStatus]) -> str:
    if trouble:
        return "degraded"
    if not any(agent.connected for agent in agents):
        return "blind"
    covered = {node.node for node in nodes if node.state == "adopted"}
    is_whole = all(agent.connected or agent.node in covered for agent in agents)
    is_reported = all(node.state != "unreported" for node in nodes)
    return "complete" if is_whole and is_reported and not gaps else "incomplete"


def _requests(agents: Sequence[AgentStatus]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for agent in agents:
        if agent.report is not None:
            total.update(agent.report.api_requests)
    return dict(total)


def _time(nanoseconds: int | None) -> str | None:
    return to_rfc3339(nanoseconds) if nanoseconds else None
