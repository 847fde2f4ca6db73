"""
One subscription, from where it begins to the present and back again whenever its client was too slow.

The delicate point is the way from replay to live. A record is published after its commit, so a journal read that began
when `last_seq` was S has seen everything up to S: reading goes on from S, whatever the filter let through. When the
ring holds everything above the position, what is left of it is sent and the seat is taken in one step without an await:
nothing can be published in between, and a seat hears only what lies above its position.

Retention deletes while a slow client replays. Every read of the journal tells the horizon of its own moment, so a
horizon that has passed the place of the replay is told before what that read found, and nothing vanishes unsaid.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aggregator.outlets.clients import Client
from aggregator.outlets.filters import EVERYTHING, UNFILTERED_TOPICS, Filter
from aggregator.outlets.frames import bookmark, delta_head, encode_text, snapshot, snapshot_end
from aggregator.outlets.hub import Hub
from aggregator.outlets.lanes import Seat, cut_tails
from aggregator.outlets.snapshots import Snapshotable, snapshot_parts
from aggregator.outlets.states import latest_states
from aggregator.records import Facets, Published, RecordQuery, Stretch

REPLAY_ROWS = 500
"""Rows of one journal read: a few hundred kilobytes, a few milliseconds."""

_NO_FACETS = Facets()
_IN_JOURNAL = {"presence": "presences"}
"""Topics that the journal names in the plural of its rows."""


class Replayable(Snapshotable, Protocol):
    """The part of the journal that a subscription reads."""

    async def replay(self, topic: str, query: RecordQuery) -> Stretch:
        """As Journal.replay."""
        ...

    async def seq_at(self, committed_at: int) -> int:
        """As Journal.seq_at."""
        ...

    async def facts(self) -> dict[str, int]:
        """As Journal.facts."""
        ...


@dataclass(slots=True, kw_only=True, frozen=True)
class Origin:
    """
    Where a subscription begins: after the seq, at the first commit since the time (ns), or now when both are None.

    `foreign` tells that the seq is of another journal and means nothing here.
    """

    seq: int | None = None
    time: int | None = None
    foreign: bool = False


class Subscription:
    """
    What one client hears under one id.

    `run` lives as long as the subscription; cancel it to end. `position` is the resume point of what was sent.
    """

    def __init__(self, hub: Hub, journal: Replayable, client: Client, *, name: str, topic: str, wanted: Filter) -> None:
        self.id = name
        self.topic = topic
        self.position = hub.last_seq
        self._wanted = EVERYTHING if topic in UNFILTERED_TOPICS else wanted
        self._hub = hub
        self._journal = journal
        self._client = client
        self._seat: Seat | None = None
        self._behind = asyncio.Event()
        self._told_horizon = 0

    async def run(self, origin: Origin, *, snapshot: bool = False) -> None:
        """Say where it begins, then everything from there. Raises ClientGone, StoreError; never returns."""
        try:
            await self._begin(origin)
            if snapshot:
                await self._snapshot()
            while True:
                await self._catch_up()
                await self._behind.wait()
                self._vacate()
        finally:
            self._vacate()

    async def _begin(self, origin: Origin) -> None:
        latest = self._hub.last_seq
        if origin.foreign:
            self._gap("journalChanged", origin.seq, latest)
        elif origin.time is not None:
            latest = await self._from_time(origin.time)
        elif origin.seq is not None:
            latest = await self._from_seq(origin.seq)
        self.position = latest
        self._client.send(bookmark(self.id, self.position, self._hub.time()), self.position)

    async def _from_time(self, time: int) -> int:
        async with self._hub.journal_reads:
            facts = await self._journal.facts()
            seq = await self._journal.seq_at(time)
        oldest = facts.get("oldestCommittedAt", 0)
        if oldest and time < oldest:
            self._gap("retention", None, seq)
            self._told_horizon = seq
        return seq

    async def _from_seq(self, seq: int) -> int:
        if self._hub.ring.floor <= seq <= self._hub.last_seq:
            return seq  # when thousands come back at once, the journal is not asked by each of them
        async with self._hub.journal_reads:
            facts = await self._journal.facts()
        last = max(facts.get("lastSeq", 0), self._hub.last_seq)
        if seq > last:
            self._gap("aheadOfJournal", seq, last)
            return last
        self._tell_horizon(seq, facts.get("horizonSeq", 0))
        return seq

    def _tell_horizon(self, covered: int, horizon_seq: int) -> None:
        """Tell that retention took records above *covered*, where it did; what was told before is not told again."""
        known = max(covered, self._told_horizon)
        if horizon_seq > known:
            self._gap("retention", known, horizon_seq)
            self._told_horizon = horizon_seq

    def _gap(self, cause: str, start: int | None, end: int) -> None:
        message = {"type": "gap", "id": self.id, "cause": cause, "fromSeq": start, "toSeq": end, "count": None}
        self._client.send(encode_text(message))

    async def _catch_up(self) -> None:
        hub, source = self._hub, self._source
        covered = self.position
        while True:
            await self._client.drained()
            if covered >= hub.ring.floor:
                found = hub.ring.after(covered, REPLAY_ROWS)
                covered = found[-1].seq if found else covered
                frames = self._frames([item for item in found if item.topic == source and self._wanted.matches(item)])
                if covered >= hub.last_seq and len(frames) <= 1:
                    self._send(frames)
                    self._take_seat(covered)
                    return
            else:
                async with hub.journal_reads:
                    published = hub.last_seq
                    query = self._wanted.query(after=covered, limit=REPLAY_ROWS)
                    stretch = await self._journal.replay(_IN_JOURNAL.get(source, source), query)
                self._tell_horizon(covered, stretch.horizon.seq)
                rows = stretch.rows
                if stretch.last is not None:
                    covered = stretch.last
                else:
                    covered = max(covered, published, rows[-1][0] if rows else 0)
                frames = self._frames([_replayed(seq, source, json) for seq, json in rows])
            for frame in frames:
                await self._client.drained()
                self._send([frame])
            await asyncio.sleep(0)  # a ring full of what is filtered out must not hold the loop

    @property
    def _source(self) -> str:
        return "changes" if self.topic == "objects" else self.topic

    def _frames(self, items: list[Published]) -> list[tuple[int, bytes]]:
        return list(cut_tails(latest_states(items) if self.topic == "objects" else items))

    def _send(self, frames: Sequence[tuple[int, bytes]]) -> None:
        for seq, tail in frames:
            self._client.send(delta_head(self.id, self.position) + tail, seq)
            self.position = seq

    def _take_seat(self, covered: int) -> None:
        self._behind.clear()
        self._seat = Seat(self._client, self.id, self.position, self._behind.set)
        self._hub.take_seat(self._seat, self.topic, self._wanted, covered)

    def _vacate(self) -> None:
        if self._seat is not None:
            self._hub.leave_seat(self._seat)
            self.position = self._seat.position
            self._seat = None

    async def _snapshot(self) -> None:
        """Send the state now (`objects`) or the newest records (other topics), then go on from there."""
        seq = self._hub.last_seq
        async for items, more in snapshot_parts(self._journal, self.topic, self._wanted, seq):
            await self._client.drained()
            self._client.send(snapshot(self.id, seq, items, more=more))
        self._client.send(snapshot_end(self.id, seq), seq)
        self.position = seq


def _replayed(seq: int, topic: str, json: bytes) -> Published:
    # The journal has filtered already, so nothing asks for the facets again.
    return Published(seq=seq, topic=topic, committed_at=0, facets=_NO_FACETS, json=json)
