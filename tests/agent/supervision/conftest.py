"""A scope against the pretend cluster, with a real spool, and claims that the test answers as the aggregator would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest_asyncio

from agent.election.candidate import Candidate, ElectionTiming
from agent.election.election import Election
from agent.kube.leases import LeaseClient
from agent.kube.session import ApiSession
from agent.spool.limits import SpoolLimits
from agent.spool.spool import Spool
from agent.supervision.cluster import ClusterScope
from agent.supervision.scope import Scope
from agent.watch.keyring import Keyring
from agent.watch.kinds import wanted_kinds
from agent.watch.settings import WatchSettings
from agent.watch.sharing import watch_tools
from kubescribe.runtime.room import Room
from kubescribe.wire.codec import decode_records
from kubescribe.wire.link import Grant, Granted, StreamClaim, Welcome
from kubescribe.wire.records import AnyRecord

PATIENCE = 30.0
SETTINGS = WatchSettings(grace_seconds=0.2, verify_seconds=0.0, backoff_first_seconds=0.05, backoff_cap_seconds=0.1)
TIMING = ElectionTiming(lease_seconds=2.0, renew_seconds=0.1, deadline_seconds=0.6)
KINDS = [kind for kind in wanted_kinds() if kind.kind in {"Pod", "Node", "ConfigMap"}]

WELCOME = Welcome(
    protocol=1,
    journal_id="journal",
    epoch=1,
    redaction_key=b"key",
    last_n=0,
    window_batches=8,
    window_bytes=2**20,
    credit=4,
    heartbeat_seconds=15,
    server_time=0,
)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


class Claims:
    """What was claimed, and what is held on every connection; `withheld` is left out of the answers."""

    def __init__(self) -> None:
        self.scope: Scope | None = None
        self.held: set[str] = set()
        self.once: list[str] = []
        self.terms: dict[str, int] = {}
        self.points: dict[str, int] = {}
        self.withheld: set[str] = set()
        self._answers: set[asyncio.Task[None]] = set()

    def claim(self, streams: list[StreamClaim]) -> None:
        self.held.update(stream.name for stream in streams)
        self._answer(streams)

    def claim_once(self, streams: list[StreamClaim]) -> None:
        self.once += [stream.name for stream in streams]
        self._answer(streams)

    def release(self, names: list[str]) -> None:
        self.held.difference_update(names)

    def _answer(self, streams: list[StreamClaim]) -> None:
        task = asyncio.create_task(self._grant([stream.name for stream in streams if stream.name not in self.withheld]))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _grant(self, names: list[str]) -> None:
        grants = []
        for name in names:
            self.terms[name] = self.terms.get(name, 0) + 1
            point = self.points.get(name, 0)
            grants.append(Grant(name=name, term=self.terms[name], epoch=1, resource_version=point, snapshot=not point))
        assert self.scope is not None
        await self.scope.on_grants(Granted(streams=tuple(grants)))


class House:
    """Everything that a scope needs, and the scope running."""

    def __init__(self, pretend: Any, session: ApiSession, spool: Spool) -> None:
        self.pretend = pretend
        self.control = pretend.control
        self.session = session
        self.spool = spool
        self.claims = Claims()
        self.tools = watch_tools(session, spool, Keyring(), settings=replace(SETTINGS))
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, scope: Scope) -> None:
        scope.attach(self.claims)
        self.claims.scope = scope
        self._tasks.append(asyncio.create_task(scope.run(), name="scope"))
        await scope.on_welcome(WELCOME)

    async def cluster(self, identity: str = "me") -> tuple[ClusterScope, Election]:
        """Run a scope `cluster` that stands for election, and wins when nobody else holds the Lease."""
        leases = LeaseClient(await self.pretend.session(), namespace="default", name="agents")
        election = Election(Candidate(identity, TIMING), leases, self.pretend.access.credentials)
        self._tasks.append(asyncio.create_task(election.run(), name="election"))
        scope = ClusterScope(self.tools, self.spool, KINDS, election)
        await self.run(scope)
        return scope, election

    async def lease_of(self, holder: str) -> None:
        """Let *holder* have the Lease for a long time."""
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 600}
        lease = {"metadata": {"name": "agents", "namespace": "default"}, "spec": spec}
        await self.control.create("leases", lease)

    async def add_pod(self, name: str, node: str = "") -> dict[str, Any]:
        spec = {"containers": [{"name": "app", "image": "app:1"}], **({"nodeName": node} if node else {})}
        return await self.control.create("pods", {"metadata": {"name": name, "namespace": "shop"}, "spec": spec})

    async def records(self) -> list[AnyRecord]:
        """Return everything that was spooled."""
        await self.spool.flush()
        found: list[AnyRecord] = []
        after = 0
        while self.spool.last_n > after:
            for frame in await self.spool.read_after(after):
                found += decode_records(frame.batch)
                after = frame.n
        return found

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest_asyncio.fixture
async def house(pretend: Any, tmp_path: Any) -> AsyncIterator[House]:
    limits = SpoolLimits(linger_seconds=0.001, idle_linger_seconds=0.002)
    async with await Spool.open(tmp_path / "spool", agent="me", limits=limits, room=lambda _: Room(1, 1)) as spool:
        made = House(pretend, await pretend.session(), spool)
        yield made
        await made.end()
