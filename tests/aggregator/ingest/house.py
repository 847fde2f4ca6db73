"""An aggregator without its listeners, and agents that talk to it without sockets."""

import asyncio
from contextlib import asynccontextmanager

import msgspec

from aggregator.errors import StoreUnavailable
from aggregator.ingest.adopting import Adopting
from aggregator.ingest.coverage import Coverage
from aggregator.ingest.pipeline import Pipeline
from aggregator.ingest.presence import Roster
from aggregator.ingest.reception import Reception
from aggregator.ingest.settling import Settling
from aggregator.ingest.zones import zones_in
from aggregator.records import RecordQuery
from aggregator.store.memory import MemoryJournal
from kubescribe.wire.codec import decode_settle, encode_records
from kubescribe.wire.link import PROTOCOL_VERSION, Adopt, Batch, Claim, Doubt, Hello, StreamClaim
from kubescribe.wire.records import Change, Presence, StreamHealth

SECOND = 1_000_000_000


class FailingJournal(MemoryJournal):
    """A journal whose disk is full while `is_full`."""

    is_full = False

    async def commit(self, plan):
        if self.is_full:
            raise StoreUnavailable("disk full")
        await super().commit(plan)


class Clock:
    """Wall time that moves by a second at each look, and by more when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


class Talk:
    """A session: who it is, and what it was sent and asked."""

    def __init__(self, hello: Hello) -> None:
        self.agent, self.spool_id, self.instance = hello.agent, hello.spool_id, hello.instance
        self.scope, self.node, self.bound_node = hello.scope, hello.node, ""
        self.former_spool_ids = hello.former_spool_ids
        self.sent: list = []
        self.asked: list[Doubt] = []
        self.ended: list[str] = []
        self.n = 0

    async def send(self, message) -> None:
        self.sent.append(message)

    async def request(self, verb: str, arguments: bytes = b"", deadline_seconds: float = 10.0):  # noqa: ARG002
        self.asked += decode_settle(arguments).doubts
        yield verb.encode()

    def end(self, reason: str) -> None:
        self.ended.append(reason)

    def adopted(self) -> list[str] | None:
        """Return what it was told to adopt last, None when it was told nothing."""
        told = [message for message in self.sent if isinstance(message, Adopt)]
        return [stream.name.removeprefix("pods/node=") for stream in told[-1].streams] if told else None


def a_hello(
    *, agent="all", instance="i1", spool="spool-a", cluster="c1", scope="all", node="", former: tuple[str, ...] = ()
) -> Hello:
    return Hello(
        protocol=PROTOCOL_VERSION,
        agent=agent,
        scope=scope,
        version="1",
        instance=instance,
        spool_id=spool,
        cluster_uid=cluster,
        cluster="demo",
        node=node,
        former_spool_ids=former,
    )


class House:
    """An aggregator without its listeners."""

    def __init__(self, journal: FailingJournal, pipeline: Pipeline, clock: Clock) -> None:
        self.journal, self.pipeline, self.clock = journal, pipeline, clock
        self.roster = Roster(clock, pipeline.ledger.present.values())
        self.coverage = Coverage(after_seconds=60.0, max_adopted=2)
        self.adopting = Adopting(pipeline, journal, self.roster, self.coverage, now_ns=clock)
        self.settling = Settling(pipeline, self.adopting, now_ns=clock, tick_seconds=0.005)
        self.reception = Reception(pipeline, self.roster, self.adopting, now_ns=clock, zones_of=zones_in(journal))

    async def come(self, **fields) -> Talk:
        hello = a_hello(**fields)
        talk = Talk(hello)
        await self.reception.welcome(talk, hello)
        return talk

    async def node_agent(self, node: str, *, spool: str = "", **fields) -> Talk:
        """A node's agent comes and claims its stream."""
        talk = await self.come(agent=f"node/{node}", scope="node", node=node, spool=spool or f"spool-{node}", **fields)
        await self.claim(talk, f"pods/node={node}")
        return talk

    async def cluster_agent(self, name: str = "a", *, leads: bool = True) -> Talk:
        """A cluster agent comes, and claims if it leads."""
        talk = await self.come(agent=f"cluster/{name}", scope="cluster", spool=f"spool-{name}")
        if leads:
            await self.claim(talk, "nodes", "pods/unscheduled")
        return talk

    async def claim(self, talk: Talk, *streams: str) -> list[str]:
        claims = tuple(StreamClaim(name=name, kind="Node" if name == "nodes" else "Pod") for name in streams)
        return [grant.name for grant in (await self.reception.claim(talk, Claim(streams=claims))).streams]

    async def send(self, talk: Talk, *records) -> None:
        talk.n += 1
        await self.reception.submit(talk, a_batch(talk.n, *records))

    async def report(self, talk: Talk, **states: str) -> None:
        """Report streams by name; `nodes="live"`, and `pods_x="live"` for the pods of node x."""
        streams = tuple(StreamHealth(name=_stream(name), state=state) for name, state in states.items())
        presence = Presence(
            agent=talk.agent, state="report", observed_at=self.clock(), scope=talk.scope, streams=streams
        )
        await self.reception.report(talk, presence)

    async def presences(self) -> list[tuple[str, str]]:
        rows = (await self.journal.replay("presences", RecordQuery(limit=1000))).rows
        return [(item["agent"], item["state"]) for item in (msgspec.json.decode(json) for _, json in rows)]

    async def gaps(self) -> list[dict]:
        page = await self.journal.gaps(RecordQuery(limit=1000, ascending=True))
        return [msgspec.json.decode(item) for item in page.items]

    async def alive(self, kind: str = "Pod") -> list[str]:
        return [head.name for head in await self.journal.living(kind, None)]


def _stream(name: str) -> str:
    if name == "unscheduled":
        return "pods/unscheduled"
    return f"pods/node={name.removeprefix('pods_')}" if name.startswith("pods_") else name


def a_batch(n: int, *records) -> Batch:
    return Batch(n=n, count=len(records), records=encode_records(records))


def a_node(name: str, rv: int, *, gone: bool = False, listed: bool = False, term: int = 1) -> Change:
    return Change(
        stream="nodes",
        term=term,
        kind="Node",
        name=name,
        uid=f"node-{name}",
        resource_version=rv,
        observed_at=rv * SECOND,
        gone=gone,
        listed=listed,
        body=b'{"rv": %d}' % rv,
    )


def a_pod(name: str, rv: int, *, node: str = "", gone: bool = False, listed: bool = False, at: int = 0) -> Change:
    return Change(
        stream=f"pods/node={node}" if node else "pods/unscheduled",
        term=1,
        kind="Pod",
        name=name,
        namespace="shop",
        uid=f"pod-{name}",
        resource_version=rv,
        observed_at=at or rv * SECOND,
        node=node,
        gone=gone,
        listed=listed,
        body=b'{"rv": %d}' % rv,
    )


def a_pod_of_shop(rv: int, name: str, *, uid: str = "", phase: str = "Running", gone: bool = False) -> Change:
    """Return one whose body says as much as the roll asks."""
    body = {
        "metadata": {"name": name, "namespace": "shop", "uid": uid or name},
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": phase},
    }
    return Change(
        stream="pods",
        term=1,
        kind="Pod",
        namespace="shop",
        name=name,
        uid=uid or name,
        node="n1",
        resource_version=rv,
        observed_at=rv * SECOND,
        gone=gone,
        body=msgspec.json.encode(body),
    )


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def opened_house(journal=None, *, begins: bool = True):
    """Run an aggregator for the length of the block; `adopting` and `settling` are run too."""
    journal = journal or FailingJournal()
    clock = Clock()
    state = await journal.open()
    houses: list[House] = []

    def committed(it) -> None:
        houses[0].adopting.committed(it.nodes, it.strays)
        houses[0].reception.committed(it.nodes)
        for relist in it.relists:
            houses[0].reception.ask_relist(relist)

    pipeline = Pipeline(journal, state, now_ns=clock, on_committed=committed)
    house = House(journal, pipeline, clock)
    houses.append(house)
    writing = asyncio.create_task(pipeline.run(), name="pipeline")
    others: list[asyncio.Task] = []
    try:
        if begins:
            await house.reception.begin()
        others = [
            asyncio.create_task(house.adopting.run(), name="adopting"),
            asyncio.create_task(house.settling.run(), name="settling"),
        ]
        yield house
    finally:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await house.reception.close()
        await pipeline.stop()
        await writing
