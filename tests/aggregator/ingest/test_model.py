"""
Agents that do what agents do, in any order, against a model of the cluster: the journal must come out right.

The model cluster is an etcd that can be restored to an older state; the model agents follow the rules of streams (a
spool that is first in, first out, a mark, lists that are consistent) and nothing else.
"""

import asyncio
from dataclasses import dataclass, field

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aggregator.errors import StoreUnavailable
from aggregator.ingest.pipeline import Committed, Pipeline
from aggregator.records import ObjectQuery, RecordQuery
from aggregator.store.memory import MemoryJournal
from kubescribe.wire.link import Claim, Relist, StreamClaim
from kubescribe.wire.records import AnyRecord, Change, Gap, Progress, Snapshot

STREAMS = {"pods": "Pod", "nodes": "Node"}
UIDS = ("u1", "u2", "u3")


@dataclass(frozen=True)
class Entry:
    """One version in etcd's history; `life` counts the restores, so that it tells histories apart."""

    kind: str
    uid: str
    rv: int
    gone: bool
    life: int


class Cluster:
    """Objects of two kinds in one etcd."""

    def __init__(self) -> None:
        self.rv = 0
        self.life = 1
        self.history: list[Entry] = []
        self.everything: set[Entry] = set()
        self.cuts: dict[int, int] = {}
        """The version that each later life began at: of an earlier life it holds nothing above."""

    def holds(self, life: int, written_in: int, rv: int) -> bool:
        return all(rv <= self.cuts[later] for later in range(written_in + 1, life + 1))

    def write(self, kind: str, uid: str, *, gone: bool) -> None:
        if gone and uid not in self.living(kind):
            return
        self.rv += 1
        entry = Entry(kind, uid, self.rv, gone, self.life)
        self.history.append(entry)
        self.everything.add(entry)

    def restore(self, back: int) -> None:
        self.rv = max(self.rv - back, 0)
        self.life += 1
        self.cuts[self.life] = self.rv
        self.history = [entry for entry in self.history if entry.rv <= self.rv]

    def living(self, kind: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for entry in self.history:
            if entry.kind == kind:
                found[entry.uid] = entry
        return {uid: entry for uid, entry in found.items() if not entry.gone}


class FailingJournal(MemoryJournal):
    """Takes a commit, or refuses it, or takes it and does not say so."""

    fails = False

    async def commit(self, plan) -> None:
        if self.fails:
            raise StoreUnavailable("disk full")
        await super().commit(plan)


@dataclass
class Stream:
    """A stream as its watcher knows it."""

    name: str
    kind: str
    position: int = 0
    term: int = 0
    epoch: int = 0
    life: int = 0
    must_list: bool = True
    is_granted: bool = False


@dataclass
class Agent:
    """One agent with one spool; `sent` of its frames are acknowledged."""

    name: str
    generation: int = 0
    frames: list[list[AnyRecord]] = field(default_factory=list)
    sent: int = 0
    base: int = 0
    streams: dict[str, Stream] = field(default_factory=dict)
    is_connected: bool = False

    @property
    def spool(self) -> str:
        return f"{self.name}-{self.generation}"

    @property
    def former(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{generation}" for generation in range(max(0, self.generation - 8), self.generation))


class Journals(RuleBasedStateMachine):
    """The machine; one loop for its life."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.journal = FailingJournal()
        self.cluster = Cluster()
        self.now = 1_000
        self.is_told = True
        self.snapshots = 0
        self.relists: list[Relist] = []
        self.agents = {name: Agent(name) for name in ("a", "b")}
        self.writing: asyncio.Task | None = None

    def run(self, work):
        return self.loop.run_until_complete(work)

    def tick(self) -> int:
        self.now += 1
        return self.now

    @initialize()
    def begin(self) -> None:
        """Begin with a cluster that two agents watch and know."""
        self.open()
        self.write([(kind, uid, False) for kind in STREAMS.values() for uid in UIDS])
        for agent, stream in zip(self.agents.values(), STREAMS, strict=True):
            self.connect(agent.name, {stream})
        self.settle()

    def open(self) -> None:
        async def begin() -> None:
            state = await self.journal.open()
            self.pipeline = Pipeline(self.journal, state, now_ns=self.tick, on_committed=self.committed)
            self.writing = asyncio.create_task(self.pipeline.run())

        self.run(begin())

    def committed(self, it: Committed) -> None:
        for relist in it.relists:  # to who is connected at this moment, and to nobody else
            for agent in self.agents.values():
                if agent.is_connected:
                    self.told(agent, relist)

    def told(self, agent: Agent, relist: Relist) -> None:
        for name in relist.streams:
            stream = agent.streams.get(name)
            if stream is not None:
                stream.epoch = max(stream.epoch, relist.epoch)
                stream.must_list = True

    def teardown(self) -> None:
        async def end() -> None:
            await self.pipeline.stop()
            await self.writing

        self.run(end())
        self.loop.close()

    # The cluster.

    @rule(
        writes=st.lists(
            st.tuples(
                st.sampled_from(sorted(STREAMS.values())), st.sampled_from(UIDS), st.sampled_from([False, False, True])
            ),
            min_size=1,
            max_size=6,
        )
    )
    def write(self, writes: list) -> None:
        for kind, uid, gone in writes:
            self.cluster.write(kind, uid, gone=gone)

    @precondition(lambda self: self.cluster.rv > 2)
    @rule(back=st.integers(1, 4))
    def restore(self, back: int) -> None:
        # A restore that no list can show (design, decision 1) is left out: each stream's point must lie above it.
        held = {stream.name: stream.position for agent in self.agents.values() for stream in agent.streams.values()}
        rows = self.pipeline.ledger.streams
        points = [*held.values(), *(row.resource_version for row in rows.values() if row.resource_version)]
        if set(rows) == set(held) and points and min(points) > self.cluster.rv - back:
            self.cluster.restore(back)
            self.is_told = False
            for agent in self.agents.values():  # an API server that is restored cuts its watches; each looks at once
                for stream in agent.streams.values():
                    self.begin_list(agent, stream)

    # The agents.

    @rule(name=st.sampled_from("ab"), streams=st.sets(st.sampled_from(sorted(STREAMS)), min_size=1))
    def connect(self, name: str, streams: set[str]) -> None:
        agent = self.agents[name]
        others = {other for it in self.agents.values() if it is not agent for other in it.streams}
        for stream in streams - others:
            agent.streams.setdefault(stream, Stream(stream, STREAMS[stream]))
        if not agent.streams:
            return
        agent.sent = max(agent.sent, agent.base + self.pipeline.ledger.spools.get(agent.spool, 0))
        agent.is_connected = True
        claims = tuple(StreamClaim(name=it.name, kind=it.kind) for it in agent.streams.values())
        try:
            granted = self.run(self.pipeline.claim(agent.spool, Claim(streams=claims), agent.former))
        except StoreUnavailable:
            agent.is_connected = False
            return
        for grant in granted.streams:
            stream = agent.streams[grant.name]
            stream.term, stream.epoch = grant.term, max(grant.epoch, stream.epoch)
            if not stream.is_granted:
                stream.position = grant.resource_version
                stream.is_granted = True
                stream.must_list = False
            stream.must_list |= grant.snapshot or self.cluster.rv < stream.position

    @rule(name=st.sampled_from("ab"))
    def disconnect(self, name: str) -> None:
        self.agents[name].is_connected = False

    @rule(name=st.sampled_from("ab"), stream=st.sampled_from(sorted(STREAMS)), most=st.integers(1, 3))
    def watch(self, name: str, stream: str, most: int) -> None:
        agent = self.agents[name]
        it = agent.streams.get(stream)
        if it is None or not it.is_granted or it.must_list:
            return
        seen = [e for e in self.cluster.history if e.kind == it.kind and e.rv > it.position][:most]
        frame: list[AnyRecord] = [self.change(it, entry) for entry in seen]
        it.position = seen[-1].rv if seen else self.cluster.rv
        if not seen:
            frame.append(Progress(stream=it.name, term=it.term, resource_version=it.position, observed_at=self.tick()))
        agent.frames.append(frame)

    @rule(name=st.sampled_from("ab"), stream=st.sampled_from(sorted(STREAMS)))
    def relist(self, name: str, stream: str) -> None:
        """List, because it was ordered or because versions expired."""
        it = self.agents[name].streams.get(stream)
        if it is not None and it.is_granted:
            self.begin_list(self.agents[name], it)

    def begin_list(self, agent: Agent, it: Stream) -> None:
        if not it.is_granted:
            return
        self.snapshots += 1
        living = self.cluster.living(it.kind).values()
        common = {
            "stream": it.name,
            "term": it.term,
            "kind": it.kind,
            "id": f"s{self.snapshots}",
            "resource_version": self.cluster.rv,
            "observed_at": self.tick(),
            "consistent": True,
            "epoch": it.epoch,
        }
        agent.frames.append([Snapshot(phase="begin", **common)])
        agent.frames.append([self.change(it, entry, listed=True) for entry in living])
        uids = tuple(entry.uid for entry in living)
        agent.frames.append([Snapshot(phase="part", uids=uids, versions=tuple(e.rv for e in living), **common)])
        gap = Gap(id=f"g{self.snapshots}", stream=it.name, cause="expired", start=0, to=self.now, outcome="lost")
        agent.frames.append([Snapshot(phase="end", count=len(uids), **common), gap])
        it.position = self.cluster.rv
        it.must_list = False

    def change(self, it: Stream, entry: Entry, *, listed: bool = False) -> Change:
        return Change(
            stream=it.name,
            term=it.term,
            kind=entry.kind,
            name=entry.uid,
            uid=entry.uid,
            resource_version=entry.rv,
            observed_at=self.tick(),
            gone=entry.gone,
            listed=listed,
            body=msgspec.json.encode({"version": [entry.life, entry.rv]}),
        )

    @rule(
        name=st.sampled_from("ab"),
        most=st.integers(1, 6),
        resent=st.integers(0, 2),
        fate=st.sampled_from(["committed", "committed", "committed", "cut", "unwritten"]),
    )
    def send(self, name: str, most: int, resent: int, fate: str) -> None:
        """Send frames, some of them again; the journal may not take them, the connection may end with them."""
        agent = self.agents[name]
        if not agent.is_connected:
            self.connect(name, set())
        if agent.is_connected:
            self.journal.fails = fate == "unwritten"
            self.deliver(agent, most, resent=resent)
            self.journal.fails = False
            agent.is_connected = fate == "committed"

    def deliver(self, agent: Agent, most: int, *, resent: int = 0) -> None:
        async def submit() -> None:
            first = max(agent.sent - resent, agent.base)
            last = min(agent.sent + most, len(agent.frames))
            done = [
                await self.pipeline.submit(agent.spool, n + 1 - agent.base, agent.frames[n]) for n in range(first, last)
            ]
            results = await asyncio.gather(*done, return_exceptions=True)
            for result in results:
                assert isinstance(result, int | StoreUnavailable)
                if isinstance(result, int):
                    agent.sent = max(agent.sent, agent.base + result)

        self.run(submit())

    @rule(name=st.sampled_from("ab"))
    def renumber(self, name: str) -> None:
        """Take a new spool id, as after a reboot: what is not acknowledged is sent again under the new one."""
        agent = self.agents[name]
        agent.generation += 1
        agent.is_connected = False
        agent.base = agent.sent

    @rule(name=st.sampled_from("ab"))
    def hand_over(self, name: str) -> None:
        """Give all streams up, as an agent that dies with its disk, or whose streams another adopts."""
        agent = self.agents[name]
        if not self.is_told:
            return  # the only one that knows of a restore; who comes after it cannot know (decision 1)
        agent.streams.clear()
        agent.is_connected = False

    @rule()
    def restart(self) -> None:
        """Stop the aggregator and open the journal again."""

        async def again() -> None:
            await self.pipeline.stop()
            await self.writing
            await self.journal.close()

        self.run(again())
        for agent in self.agents.values():
            agent.is_connected = False
        self.open()

    # What must hold.

    @invariant()
    def every_version_is_true_and_in_one_epoch(self) -> None:
        if self.writing is None:
            return
        found: dict[tuple[int, str], set[tuple[int, int]]] = {}
        for item in self.changes():
            if item["verb"] != "inferredDeleted":
                life, rv = self.version_of(item)
                assert str(rv) == item["resourceVersion"]
                found.setdefault((item["epoch"], item["kind"]), set()).add((life, rv))
        for versions in found.values():
            last = max(versions)[0]
            assert all(self.cluster.holds(last, life, rv) for life, rv in versions), "two histories in one epoch"

    def changes(self) -> list[dict]:
        page = self.run(self.journal.changes(RecordQuery(limit=100_000, ascending=True)))
        return [msgspec.json.decode(item) for item in page.items]

    def version_of(self, item: dict) -> tuple[int, int]:
        life, rv = msgspec.json.decode(self.journal._body(item["seq"]))["version"]
        return life, rv

    @invariant()
    def order_is_kept(self) -> None:
        if self.writing is None:
            return
        changes = self.changes()
        assert [it["seq"] for it in changes] == sorted({it["seq"] for it in changes})
        assert [it["committedAt"] for it in changes] == sorted(it["committedAt"] for it in changes)
        keys = [(it["epoch"], it["kind"], it["uid"], it["resourceVersion"], "eleted" in it["verb"]) for it in changes]
        assert len(keys) == len(set(keys))

    @precondition(lambda self: any(agent.streams for agent in self.agents.values()))
    @rule()
    def settle(self) -> None:
        """Everybody connects, sends all, does what was ordered: then the state is the cluster's."""
        for _ in range(4):  # an order may follow from what was sent
            for agent in self.agents.values():
                if agent.streams:
                    self.connect(agent.name, set())
                for stream in agent.streams.values():
                    if stream.must_list:
                        self.begin_list(agent, stream)
                    else:
                        self.watch(agent.name, stream.name, 1_000)
                if agent.is_connected:
                    self.deliver(agent, 10_000)
        self.is_told = True
        for agent in self.agents.values():
            assert agent.sent == len(agent.frames) or not agent.streams
            for stream in agent.streams.values():
                assert not stream.must_list, "an order that never ends"
                row = self.pipeline.ledger.streams[stream.name]
                assert (row.epoch, row.resource_version) == (self.pipeline.ledger.epoch, self.cluster.rv)
                page = self.run(self.journal.objects(ObjectQuery(kind=stream.kind, limit=1_000, include_body=True)))
                found = {item["uid"]: item for item in map(msgspec.json.decode, page.items)}
                expected = self.cluster.living(stream.kind)
                assert set(found) == set(expected)
                for uid, entry in expected.items():
                    assert found[uid]["body"]["version"] == [entry.life, entry.rv]


Journals.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestJournals = Journals.TestCase
