"""
What a conversation with an agent means: who may talk, what a batch is, who is here. Implements the link's `Ingest`.

Not the conversation itself (link.py), and not the writing (pipeline.py).
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import structlog

from aggregator.errors import LinkRefused, StoreError, StoreUnavailable
from aggregator.ingest.adopting import Adopting
from aggregator.ingest.gaps import add_gap
from aggregator.ingest.latezones import LateZones
from aggregator.ingest.ledger import Draft, Ledger
from aggregator.ingest.link import Session
from aggregator.ingest.peers import complaint_about_usage, foreign_in
from aggregator.ingest.pipeline import Pipeline
from aggregator.ingest.presence import Roster, came, made_good, went
from aggregator.ingest.unreadable import UnreadableBatches, give_up
from aggregator.ingest.zones import ZonesOf
from aggregator.records import Head
from kubescribe.wire.codec import decode_records
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import PROTOCOL_VERSION, Batch, Claim, Granted, Hello, Relist, Usage, Welcome
from kubescribe.wire.records import AnyRecord, Presence
from kubescribe.wire.streams import selector_of

_log = structlog.get_logger(__name__)

# Decompressing and decoding this much takes ~5 ms; more goes to a thread.
_SMALL_BATCH_BYTES = 64 * 1024

DEPARTURE_GRACE_SECONDS = 5.0
"""An agent that is back within this time (a reconnect) was not away: nothing is written."""


@dataclass(frozen=True, slots=True)
class _Departure:
    """An agent that may be back in a moment: away since when, and what the journal has of its coming."""

    since: int
    spool_id: str
    present: Presence | None
    timer: asyncio.TimerHandle


class Reception:
    """Agents come, claim, send, report and go."""

    def __init__(
        self,
        pipeline: Pipeline,
        roster: Roster,
        adopting: Adopting,
        *,
        now_ns: Callable[[], int],
        zones_of: ZonesOf | None = None,
        take_usage: Callable[[Usage], None] | None = None,
        window_batches: int = 32,
        window_bytes: int = 8 * 2**20,
        credit: int = 64,
        heartbeat_seconds: float = 15.0,
    ) -> None:
        self._pipeline = pipeline
        self._roster = roster
        self._adopting = adopting
        self._now_ns = now_ns
        self._zones_of = zones_of
        self._late_zones = LateZones(zones_of)
        self._take_usage = take_usage
        self._window_batches = window_batches
        self._window_bytes = window_bytes
        self._credit = credit
        self._heartbeat_seconds = heartbeat_seconds
        self._sessions: dict[str, Session] = {}
        self._departures: dict[str, _Departure] = {}
        self._order: WeakKeyDictionary[Session, asyncio.Lock] = WeakKeyDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreadable = UnreadableBatches()

    async def begin(self) -> None:
        """
        Write that the agents of the life before are away until they return; call it once, at the start.

        A journal that takes nothing yet (a full disk) is waited for: what it holds is served meanwhile.
        """
        ledger = self._pipeline.ledger
        away = dict(ledger.went)
        if ledger.present:
            # Bookmarks are no rows: a quiet cluster was seen whole later than its last change was committed.
            # Theirs are the agents' clocks, and an absence does not begin in the future.
            seen_at = max(ledger.last_committed_at, *(row.complete_at for row in ledger.streams.values()), 0)
            since = min(seen_at, self._now_ns())
            before = dict(ledger.present)
            away |= dict.fromkeys(before, since)

            def write(draft: Draft) -> None:
                for agent, present in sorted(before.items()):
                    if draft.present(agent) == present:  # else it was quicker than we
                        went(draft, agent, since)

            await self._note_at_last(write)
        await self._adopting.begin(away)

    async def _note_at_last(self, write: Callable[[Draft], None]) -> None:
        while True:
            try:
                return await self._pipeline.note(write)
            except StoreUnavailable as error:
                _log.warning("ingest.begin_delayed", error=str(error)[:256])
                await asyncio.sleep(DEPARTURE_GRACE_SECONDS)

    async def welcome(self, session: Session, hello: Hello) -> Welcome:
        """Accept an agent of this journal's cluster; the first one decides which cluster that is."""
        ledger = self._pipeline.ledger
        if not (hello.agent and hello.cluster_uid and hello.spool_id):
            raise LinkRefused("malformed", "hello: agent, clusterUid and spoolId are required")
        if (hello.scope == "node") != bool(hello.node):
            raise LinkRefused("malformed", "hello: a node agent names its node, and no other agent does")
        _require_cluster(ledger, hello)
        now = self._now_ns()
        departed = self._take_departure(hello.agent)
        present = ledger.present.get(hello.agent)
        if present is None or present.instance != hello.instance or departed is None:
            since = departed.since if departed is not None else now
            try:
                await self._pipeline.note(lambda draft: _arrive(draft, hello, since=since, now=now))
            except BaseException:
                if departed is not None and hello.agent not in self._departures:
                    self._await_return(hello.agent, departed.since, departed.spool_id)  # it is still away
                raise
            _require_cluster(ledger, hello)  # another cluster's agent may have come first in that transaction
            self._take_departure(hello.agent)  # of the connection that this one follows
        # The agent of a cluster's other objects ships no lines.
        zones = await self._zones_of(hello.node) if self._zones_of and hello.scope != "cluster" else {}
        self._sessions[hello.agent] = session
        self._roster.came(hello, now)
        self._adopting.came(session)
        if hello.node and hello.node not in zones:
            self._late_zones.wait(session)
        return Welcome(
            protocol=PROTOCOL_VERSION,
            journal_id=ledger.journal_id,
            epoch=ledger.epoch,
            redaction_key=ledger.redaction_key,
            last_n=ledger.spools.get(hello.spool_id, 0),
            window_batches=self._window_batches,
            window_bytes=self._window_bytes,
            credit=self._credit,
            heartbeat_seconds=self._heartbeat_seconds,
            server_time=now,
            zones=zones,
            takes_usage=self._take_usage is not None,
            takes_line_counts=True,
        )

    async def claim(self, session: Session, claim: Claim) -> Granted:
        """Give the agent those streams that it may have. Raises LinkRefused for a name that says nothing."""
        for stream in claim.streams:
            try:
                selector_of(stream.name)
            except ValueError as error:
                raise LinkRefused("malformed", f"claim: {error}") from None
        claim = self._adopting.claimed(session, claim)
        return await self._pipeline.claim(session.spool_id, claim, session.former_spool_ids)

    async def submit(self, session: Session, batch: Batch) -> int:
        """Return the batch's number once it is committed; batches of a session are taken in the order of the calls."""
        order = self._order.setdefault(session, asyncio.Lock())
        async with order:
            try:
                records = await _decode(batch)
            except WireError as error:
                if not self._unreadable.came_again(session.spool_id, batch.n):
                    raise
                return await self._give_up(session, batch, str(error))
            if session.bound_node and (foreign := foreign_in(records, session.bound_node)):
                raise LinkRefused("unauthorized", f"the agent of the node {session.bound_node!r} sent {foreign}")
            done = await self._pipeline.submit(session.spool_id, batch.n, records)
        return await done

    async def _give_up(self, session: Session, batch: Batch, reason: str) -> int:
        await self._pipeline.note(
            lambda draft: give_up(draft, agent=session.agent, spool_id=session.spool_id, batch=batch, reason=reason)
        )
        if self._pipeline.ledger.spools.get(session.spool_id, 0) < batch.n:
            raise StoreUnavailable("the batch before it was not committed")
        _log.error("ingest.batch_given_up", agent=session.agent, n=batch.n, records=batch.count, reason=reason[:256])
        return batch.n

    async def report(self, session: Session, presence: Presence) -> None:
        """Keep an agent's report, and close its absence gaps when it shows that everything arrived."""
        if presence.agent != session.agent:
            raise LinkRefused("malformed", f"report of {presence.agent!r} by {session.agent!r}")
        self._roster.report(presence)
        self._adopting.reported(session, presence)
        gaps = made_good(self._pipeline.ledger, presence, session.spool_id)
        if gaps:

            def write(draft: Draft) -> None:
                for gap in gaps:
                    add_gap(draft, gap)

            await self._pipeline.note(write)
            for gap in gaps:
                # Its pod is replaced by one of another name, and its work is done by the one that reports.
                if gap.stream.startswith("agent/cluster/"):
                    self._roster.forget(gap.stream.removeprefix("agent/"))

    def usage(self, session: Session, usage: Usage) -> None:
        """Hand on what nodes and pods use; a node agent tells of its own node and no other."""
        if complaint := complaint_about_usage(usage, scope=session.scope, node=session.node):
            raise LinkRefused("malformed", f"usage: {complaint}")
        if self._take_usage is not None:
            self._take_usage(usage)

    async def gone(self, session: Session) -> None:
        """Note that a conversation ended; the agent is written as gone unless it returns soon."""
        agent = session.agent
        if self._sessions.get(agent) is not session:
            return  # superseded: the agent is here, on another connection
        del self._sessions[agent]
        now = self._now_ns()
        self._roster.went(agent, now)
        self._adopting.went(session)
        self._late_zones.gone(session)
        self._await_return(agent, now, session.spool_id)

    def committed(self, nodes: Iterable[Head]) -> None:
        """Take the Nodes that a commit moved: some agent may wait for its zone."""
        self._late_zones.committed(nodes)

    def reading(self, node: str) -> Session | None:
        """Return the agent that has the log files of *node*: its own, else the one that stands for every node."""
        return self._sessions.get(f"node/{node}") or self._sessions.get("all")

    def ask_relist(self, relist: Relist) -> None:
        """Ask the connected agents for Snapshots of the streams named; who holds none of them ignores it."""
        self._spawn(self._send_relist(relist), "relist")

    async def _send_relist(self, relist: Relist) -> None:
        for session in list(self._sessions.values()):
            await session.send(relist)

    async def close(self) -> None:
        """Forget pending departures: at a stop nobody knows yet who is gone."""
        for agent in list(self._departures):
            self._take_departure(agent)
        await self._late_zones.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _await_return(self, agent: str, since: int, spool_id: str) -> None:
        self._take_departure(agent)
        timer = asyncio.get_running_loop().call_later(DEPARTURE_GRACE_SECONDS, self._depart, agent)
        self._departures[agent] = _Departure(since, spool_id, self._pipeline.ledger.present.get(agent), timer)

    def _take_departure(self, agent: str) -> _Departure | None:
        departed = self._departures.pop(agent, None)
        if departed is not None:
            departed.timer.cancel()
        return departed

    def _depart(self, agent: str) -> None:
        departed = self._take_departure(agent)
        if departed is not None:
            self._spawn(self._write_departure(agent, departed), f"departure {agent}")

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_departure(self, agent: str, departed: _Departure) -> None:
        def write(draft: Draft) -> None:
            if draft.present(agent) == departed.present:  # else it has come again meanwhile
                went(draft, agent, departed.since, spool_id=departed.spool_id)

        while agent not in self._sessions:
            try:
                await self._pipeline.note(write)
            except StoreError as error:
                _log.warning("ingest.departure_delayed", agent=agent, error=str(error))
                await asyncio.sleep(DEPARTURE_GRACE_SECONDS)
            else:
                if not self._pipeline.ledger.open_gaps.of(f"agent/{agent}"):
                    self._roster.forget(agent)  # a standby, which nobody misses
                return


def _require_cluster(ledger: Ledger, hello: Hello) -> None:
    if ledger.cluster_uid and ledger.cluster_uid != hello.cluster_uid:
        raise LinkRefused(
            "cluster",
            f"this journal belongs to cluster {ledger.cluster_uid} ({ledger.cluster or 'unnamed'}), the agent"
            f" watches {hello.cluster_uid}: give each cluster an aggregator of its own",
        )


def _arrive(draft: Draft, hello: Hello, *, since: int, now: int) -> None:
    owner = draft.plan.cluster_uid or draft.ledger.cluster_uid
    if not owner:
        draft.plan.cluster_uid = hello.cluster_uid
    elif owner != hello.cluster_uid:
        return  # `welcome` refuses it
    if hello.cluster and hello.cluster != draft.ledger.cluster:
        draft.plan.cluster = hello.cluster
    went(draft, hello.agent, since)
    came(draft, hello, now)


async def _decode(batch: Batch) -> list[AnyRecord]:
    if len(batch.records) > _SMALL_BATCH_BYTES:
        return await asyncio.to_thread(decode_records, batch.records)
    return decode_records(batch.records)
