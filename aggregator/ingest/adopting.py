"""
Keeps every node covered: tells the cluster agent what to adopt, says what nobody reports, retires what is gone.

Who covers what is coverage.py's to decide; here is what follows from it, on the link and in the journal. The cluster
agent that leads is the one that holds the pods without a node: an election among the agents chooses who claims them,
terms decide what counts. A leader that was stopped, and claims once more before it notices that another leads, takes
the streams away from that one, unheard; the other's next reports show it, and it is made to connect, and claim, anew.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import structlog

from aggregator.errors import LinkRefused, StoreError
from aggregator.ingest.connection import Session
from aggregator.ingest.coverage import Coverage
from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft
from aggregator.ingest.nodes import NODE, UNSCHEDULED, look_again, pods_of
from aggregator.ingest.pipeline import Pipeline
from aggregator.ingest.presence import Roster, closed, is_caught_up
from aggregator.records import Head
from aggregator.store.base import Journal
from kubescribe.wire.link import Adopt, Claim, StreamClaim
from kubescribe.wire.records import Gap, Presence
from kubescribe.wire.streams import selector_of

_log = structlog.get_logger(__name__)

SECOND = 10**9

TICK_SECONDS = 1.0
GATHER_SECONDS = 0.1

_NODE_AGENT = "agent/node/"
"""How the stream of a gap begins that stands for a node's agent."""

DEPOSED_SECONDS = 10.0
"""Reports come every 5 s: two of them must agree that who holds the streams is not who watches them."""


@dataclass(slots=True)
class _Standing:
    """A cluster agent that is here: its last report, and since when it believes to lead while another holds (ns)."""

    report: Presence | None = None
    deposed_since: int | None = None

    @property
    def is_leading(self) -> bool:
        """Tell whether it believes to lead."""
        return self.report is not None and any(stream.name == UNSCHEDULED for stream in self.report.streams)


class Adopting:
    """The nodes' coverage, kept up. Told by reception who comes, claims, reports and goes; `run` does the rest."""

    def __init__(
        self, pipeline: Pipeline, journal: Journal, roster: Roster, coverage: Coverage, *, now_ns: Callable[[], int]
    ) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._roster = roster
        self._coverage = coverage
        self._now_ns = now_ns
        self._clusters: dict[Session, _Standing] = {}
        self._told: tuple[Session, tuple[str, ...]] | None = None
        self._moved = asyncio.Event()

    @property
    def leader(self) -> Session | None:
        """The cluster agent that watches for all, None while none is here."""
        row = self._pipeline.ledger.streams.get(UNSCHEDULED)
        if row is None:
            return None
        return next((session for session in self._clusters if session.spool_id == row.holder), None)

    async def begin(self, away: Mapping[str, int]) -> None:
        """Learn the nodes that the journal knows; *away* tells since when which agents are away (ns). Call it once."""
        ledger, now = self._pipeline.ledger, self._now_ns()
        for head in await self._journal.living(NODE, None):
            self._coverage.node_came(head.name, now, since=away.get(f"node/{head.name}"))
        living = {node.node for node in self._coverage.nodes()}
        left = {selector_of(name).node for name in ledger.streams}
        # An agent may have died before it claimed anything, and its node with it.
        left |= {gap.stream.removeprefix(_NODE_AGENT) for gap in _absent_node_agents(ledger.open_gaps.values())}
        for node in left:
            if node and node not in living:
                self._coverage.node_went(node, now)

    # What reception tells.

    def came(self, session: Session) -> None:
        """Note an agent that was welcomed."""
        if session.scope == "cluster":
            # Nobody tells of the end of a connection that this one supersedes; what is sent there reaches nobody.
            self._clusters = {it: standing for it, standing in self._clusters.items() if it.agent != session.agent}
            self._clusters[session] = _Standing()
        else:
            self._coverage.agent_came(session.agent, session.node, self._now_ns())
        self._moved.set()

    def went(self, session: Session) -> None:
        """Note an agent that is away."""
        if session.scope != "cluster":
            self._coverage.agent_went(session.agent, session.node, self._now_ns())
        self._clusters.pop(session, None)
        self._moved.set()

    def claimed(self, session: Session, claim: Claim) -> Claim:
        """
        Return what of *claim* the agent may have. Raises LinkRefused for a stream of another's.

        A node agent has its own node's pods and nothing else. A cluster agent has those of a node only while it is
        asked to: a claim that crossed with the return of the node's agent is left out of the answer.
        """
        if session.scope == "node":
            other = [it.name for it in claim.streams if it.name != pods_of(session.node)]
            if other:
                raise LinkRefused("unauthorized", f"claim: {other[0]!r} is not of the node {session.node!r}")
            return claim
        if session.scope != "cluster":
            return claim
        if any(it.name == UNSCHEDULED for it in claim.streams):
            # It leads from now on, or anew: what it was told to adopt before does not count any more.
            self._told = None
            self._moved.set()
        return Claim(streams=tuple(it for it in claim.streams if self._is_free(session, it.name)))

    def reported(self, session: Session, presence: Presence) -> None:
        """Keep the last report of a cluster agent."""
        standing = self._clusters.get(session)
        if standing is not None:
            standing.report = presence

    def committed(self, nodes: Iterable[Head], strays: Iterable[str] = ()) -> None:
        """Note the Nodes that a commit moved, and *strays*, the nodes of pods for which there was no stream."""
        now = self._now_ns()
        for head in nodes:
            follow = self._coverage.node_went if head.version.gone else self._coverage.node_came
            # Most of what moves in a Node is its status.
            if follow(head.name, now):
                self._moved.set()
        for node in strays:
            self._coverage.pod_came(node, now)
            self._moved.set()

    # What follows.

    async def run(self) -> NoReturn:
        """Keep the nodes covered until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                pass
            # Agents come by the hundred after a restart of ours.
            await asyncio.sleep(min(GATHER_SECONDS, TICK_SECONDS))
            self._moved.clear()
            await self._tell()
            self._call_back_deposed()
            try:
                await self._say_unreported()
                await self._retire()
            except StoreError as error:
                _log.warning("adoption.delayed", error=str(error)[:256])
                await asyncio.sleep(TICK_SECONDS)

    async def _tell(self) -> None:
        leader = self.leader
        if leader is None:
            self._told = None
            self._coverage.abandon(self._now_ns())
            return
        # Of thousands of streams few are its own: only their names are taken apart.
        streams = self._pipeline.ledger.streams
        held = {selector_of(name).node or "" for name, row in streams.items() if row.holder == leader.spool_id}
        nodes = self._coverage.to_adopt(leader.agent, held, self._now_ns())
        if self._told != (leader, nodes):
            _log.info("adoption.changed", agent=leader.agent, nodes=len(nodes))
            self._told = (leader, nodes)
            await leader.send(Adopt(streams=tuple(StreamClaim(name=pods_of(node), kind="Pod") for node in nodes)))

    def _call_back_deposed(self) -> None:
        leader, now = self.leader, self._now_ns()
        holder = self._clusters.get(leader) if leader is not None else None
        is_held = holder is not None and holder.is_leading
        for session, standing in self._clusters.items():
            if session is leader or not standing.is_leading or is_held:
                standing.deposed_since = None
            elif standing.deposed_since is None:
                standing.deposed_since = now
            elif now - standing.deposed_since >= DEPOSED_SECONDS * SECOND:
                standing.deposed_since = None
                _log.warning("adoption.leader_called_back", agent=session.agent)
                session.end("another agent took its streams and does not watch them: claim them again")

    def _is_free(self, session: Session, stream: str) -> bool:
        node = selector_of(stream).node
        if not node:
            return True
        told = self._told
        return told is not None and told[0] is session and node in told[1] and not self._coverage.is_here(node)

    async def _say_unreported(self) -> None:
        ledger = self._pipeline.ledger
        told = ledger.open_gaps.streams()
        gaps = [
            Gap(
                id=f"unreported/{node}/{since}",
                stream=pods_of(node),
                cause="node_unreported",
                start=since,
                detail="no agent runs there, and no cluster agent has adopted it",
            )
            for node, since in self._coverage.unreported(self._now_ns()).items()
            if pods_of(node) not in told and f"agent/node/{node}" not in told
        ]
        if gaps:
            _log.warning("adoption.nodes_unreported", count=len(gaps), first=gaps[0].stream)
            await self._pipeline.note(lambda draft: _add_all(draft, gaps))

    async def _retire(self) -> None:
        """Forget the nodes that are deleted, once the leader sees their streams and no pod of theirs is left."""
        leader = self.leader
        report = self._clusters[leader].report if leader is not None else None
        if leader is None or report is None or not is_caught_up(report):
            return
        seeing = {stream.name for stream in report.streams if stream.state == "live"}
        for node in self._coverage.gone():
            name = pods_of(node)
            row = self._pipeline.ledger.streams.get(name)
            if name not in seeing or row is None or row.holder != leader.spool_id:
                continue
            if f"node/{node}" in self._pipeline.ledger.present:
                continue  # that its agent went is still to be written, and the gap that this opens to be closed
            if await self._journal.living("Pod", node):
                continue
            await self._pipeline.note(partial(_retire, node=node, holder=leader.spool_id))
            if await self._journal.living("Pod", node):
                # It came between the look and the commit; as with a pod on a node that nobody knows, look again.
                await self._pipeline.note(partial(look_again, node=node))
            if name not in self._pipeline.ledger.streams:
                self._coverage.retire(node)
                self._roster.forget(f"node/{node}")
                _log.info("adoption.node_retired", node=node)


def _absent_node_agents(gaps: Iterable[Gap]) -> Iterable[Gap]:
    return (gap for gap in gaps if gap.cause == "agent_absent" and gap.stream.startswith(_NODE_AGENT))


def _add_all(draft: Draft, gaps: Iterable[Gap]) -> None:
    for gap in gaps:
        add_gap(draft, gap)


def _retire(draft: Draft, *, node: str, holder: str) -> None:
    row = draft.stream(pods_of(node))
    if row is None or row.holder != holder:
        return  # its agent is back
    draft.plan.retired.add(row.name)
    for gap in draft.ledger.open_gaps.of(row.name, f"{_NODE_AGENT}{node}"):
        add_gap(draft, closed(gap, draft.committed_at))
