"""
The scope `cluster`: while it leads, whatever has no node of its own, and the nodes that the aggregator has it adopt.

An agent that does not lead is connected, sends what it has spooled, and claims nothing. One that ceases to lead ends
its watches and goes on sending; when it leads again they begin from its marks and the journal's grants.

Adopted streams are the aggregator's to give: it names all of them each time. They are claimed when they are named, and
watched when they are granted; one that is named and not granted belongs to its node's own agent, which was quicker.
After a reconnection what is adopted is watched on under its old term until it is named anew: by then the aggregator
knows whether the node's agent is back, whose stream a claim would take away.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import structlog

from agent.election.election import Election
from agent.errors import NotLeading, Undecodable
from agent.link.requests import Handler
from agent.spool.spool import Spool
from agent.supervision.finding import KindFinder
from agent.supervision.scope import Scope
from agent.watch.kinds import PODS, WatchedKind
from agent.watch.settling import settle
from agent.watch.sharing import WatchTools
from kubescribe.runtime.tasks import run_until
from kubescribe.wire.codec import decode_settle
from kubescribe.wire.link import MAX_DOUBTS, SETTLE, Granted, StreamClaim, Welcome
from kubescribe.wire.records import StreamHealth
from kubescribe.wire.streams import selector_of, stream_name

_LOG = structlog.get_logger(__name__)

MAX_ADOPTED = 5_000
"""The most that an aggregator can be set to give to one agent; each is a connection."""

UNSCHEDULED = stream_name(PODS.stream_resource, "")


class ClusterScope(Scope):
    """Watches the cluster's objects and adopted nodes while *election* is won."""

    def __init__(self, tools: WatchTools, spool: Spool, kinds: Sequence[WatchedKind], election: Election) -> None:
        super().__init__(tools, spool)
        self._spool = spool
        self._election = election
        self._finder = KindFinder(tools, self.watchers, kinds, pods_of="")
        self._named: dict[str, StreamClaim] = {}
        """What is to be adopted, as the aggregator said on this connection."""
        self._granted: set[str] = set()
        """What of it was granted on this connection."""

    async def run(self) -> None:
        """Watch whenever the election is won, until cancelled."""
        while True:
            await self._election.wait_leading()
            await run_until(self._election.wait_following(), self._lead())
            # Until another leads nobody watches, and that must show: it may be all that there is to see of an outage.
            await self.watchers.leave("the agent that watched leads no longer")

    async def _lead(self) -> None:
        async with self.watchers.open():
            self._granted.clear()
            self._claim_adopted()
            await self._finder.run()

    def unready(self) -> str:
        """Return why the work is not done; one that does not lead, and could, is ready."""
        if self._election.is_refused:
            return self._election.trouble
        if not self._election.is_known:
            return self._election.trouble or "the Lease was not read yet"
        if self._election.is_leading and not self._finder.has_found:
            return "the API server has not told its kinds yet"
        return ""

    def health(self) -> tuple[StreamHealth, ...]:
        """Return how every stream does, and the election."""
        return (*self.watchers.health(), self._election.health())

    def sees_all_pods(self) -> bool:
        """Tell whether it leads and has nodes without an agent of their own."""
        return self._election.is_leading and any(_node_of(name) for name in self.watchers.names())

    def handlers(self) -> Mapping[str, Handler]:
        """Return the requests of the aggregator that are answered."""
        return {SETTLE: self._settle}

    # What the link tells.

    async def on_welcome(self, welcome: Welcome) -> None:
        """Take the redaction key, and forget what was named and granted on the connection before."""
        await super().on_welcome(welcome)
        self._named.clear()
        self._granted.clear()

    async def on_grants(self, granted: Granted) -> None:
        """Tell each watcher where its stream goes on, and begin to watch what is adopted with that."""
        for grant in granted.streams:
            if self.watchers.granted(grant):
                self._granted.add(grant.name)
            elif grant.name in self._named and self.watchers.is_open:
                self._granted.add(grant.name)
                self.watchers.start_granted(PODS, _node_of(grant.name), grant)
                _LOG.info("watch.adopted", stream=grant.name)

    async def on_adopt(self, streams: Sequence[StreamClaim]) -> None:
        """Claim what is new in *streams*, and end what was adopted and is not in it any more."""
        named = {stream.name: stream for stream in streams if _node_of(stream.name)}
        if len(named) < len(streams) or len(named) > MAX_ADOPTED:
            _LOG.warning("watch.not_adopted", named=len(streams), limit=MAX_ADOPTED)
        self._named = dict(list(named.items())[:MAX_ADOPTED])
        dropped = [name for name in self.watchers.names() if _node_of(name) and name not in self._named]
        if dropped:
            _LOG.info("watch.let_go", count=len(dropped), streams=dropped[:8])
            self.watchers.end(dropped)
            self._granted.difference_update(dropped)
        self._claim_adopted()

    def _claim_adopted(self) -> None:
        # A list that came before the election was won counts too: it may be the only one on this connection.
        new = [claim for name, claim in self._named.items() if name not in self._granted]
        if new and self.watchers.is_open:
            self.watchers.claims.claim_once(new)

    async def _settle(self, arguments: bytes) -> AsyncIterator[bytes]:
        watcher = self.watchers.find(UNSCHEDULED)
        if watcher is None or not watcher.term:
            raise NotLeading("this agent does not lead, or has not begun to")
        doubts = decode_settle(arguments).doubts
        if len(doubts) > MAX_DOUBTS:
            raise Undecodable(f"{len(doubts)} doubts, at most {MAX_DOUBTS} are taken")
        await settle(doubts, self.watchers.kinds(), watcher, self._tools)
        await self._spool.flush()
        parts: tuple[bytes, ...] = ()  # Its end is the answer.
        for part in parts:
            yield part


def _node_of(stream: str) -> str:
    """Return the node of a stream of a node's pods, "" for any other."""
    try:
        selector = selector_of(stream)
    except ValueError:
        return ""
    return (selector.node or "") if selector.resource == PODS.stream_resource else ""
