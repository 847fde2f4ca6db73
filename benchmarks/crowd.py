"""
20,000 pods for `scrape`, what their nodes' agents say of them, and what becomes of some: no agent runs, only its words.

100 namespaces, 1,000 Deployments, 400 nodes, each fourth pod with a sidecar, requests and limits on each container,
each tenth of a node with a volume.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from aggregator.ingest.pipeline import Committed, Pipeline
from aggregator.store.sqlite.journal import SqliteJournal
from kubescribe.wire.codec import decode_from_aggregator, encode_message, encode_records
from kubescribe.wire.link import (
    PROTOCOL_VERSION,
    Ack,
    Batch,
    Claim,
    Granted,
    Hello,
    Message,
    StreamClaim,
    Usage,
    Welcome,
)
from kubescribe.wire.records import AnyRecord, Change
from kubescribe.wire.usage import Compute, ContainerUsage, Network, NodeUsage, PodUsage, Space, VolumeUsage

PODS = 20_000
WORKLOADS = 1_000
NAMESPACES = 100
NODES = 400
_BATCH = 1_000
_AT_ONCE = 2
"""Nodes that tell at the same moment: more than the 27 a second of life, and so many that none waits for the bench."""
_SECOND = 10**9


async def fill(path: Path) -> None:
    """Let ingest write the cluster into a new journal."""
    path.parent.mkdir(parents=True)
    journal = SqliteJournal(path)
    state = await journal.open()

    def committed(_: Committed) -> None:
        pass

    pipeline = Pipeline(journal, state, now_ns=time.time_ns, on_committed=committed)
    writing = asyncio.create_task(pipeline.run(), name="pipeline")
    for n, first in enumerate(range(0, PODS, _BATCH), 1):
        batch: list[AnyRecord] = [a_pod(number) for number in range(first, first + _BATCH)]
        await (await pipeline.submit("bench", n, batch))
    await pipeline.stop()
    await writing
    await journal.close()


def a_pod(number: int, *, version: int = 1, term: int = 1, gone: bool = False) -> Change:
    """Return a *version* of a pod, of ~2 KB; with each its container has started once more."""
    workload, namespace = f"service-{number % WORKLOADS:04d}", f"team-{number % NAMESPACES:03d}"
    name, node = f"{workload}-5d8f7c9b6d-{number:05d}", node_of(number)
    containers = ["app", "envoy"] if number % 4 == 0 else ["app"]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "labels": {"app": workload, "pod-template-hash": "5d8f7c9b6d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{workload}-5d8f7c9b6d", "controller": True}],
        },
        "spec": {"nodeName": node, "containers": [{"name": it, "resources": resources} for it in containers]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [
                {
                    "name": it,
                    "restartCount": version - 1,
                    "state": {"running": {}},
                    "containerID": f"containerd://{number + version:064x}",
                }
                for it in containers
            ],
        },
    }
    return Change(
        stream="pods",
        term=term,
        kind="Pod",
        namespace=namespace,
        name=name,
        uid=f"00000000-0000-4000-8000-{number:012d}",
        node=node,
        resource_version=1_000_000 * version + number,
        observed_at=time.time_ns(),
        gone=gone,
        body=json.dumps(body).encode(),
    )


def node_of(number: int) -> str:
    """Return the node of a pod."""
    return f"ip-10-0-{number % NODES // 250}-{number % NODES % 250}.ec2"


class Crowd:
    """The agents' side of the links: one that tells of changes, and one for each node that tells of usage."""

    def __init__(self, teller: "_Talk", nodes: dict[str, "_Talk"]) -> None:
        self._teller = teller
        self._nodes = nodes
        self._living = dict.fromkeys(range(PODS), 1)
        self._newest = PODS
        self._term = 0
        self._n = 0
        self._rounds = 0

    async def claim(self) -> None:
        """Hold the stream of pods."""
        granted = await self._teller.ask(Claim(streams=(StreamClaim(name="pods", kind="Pod"),)))
        if not isinstance(granted, Granted):
            raise TypeError(f"no stream was granted: {granted}")
        self._term = granted.streams[0].term

    async def tell(self) -> None:
        """Let every node tell anew of what its pods use now, a few at a time; return when all are heard."""
        self._rounds += 1
        numbers: dict[str, list[int]] = {}
        for number in self._living:
            numbers.setdefault(node_of(number), []).append(number)
        waiting: deque[_Talk] = deque()
        for node, talk in self._nodes.items():
            await talk.say(_usage(node, numbers.get(node, []), self._rounds))
            waiting.append(talk)
            if len(waiting) > _AT_ONCE:
                await waiting.popleft().heard()
        for talk in waiting:
            await talk.heard()

    async def stir(self, *, restarts: int, goes: int, comes: int) -> None:
        """Let containers start again, pods go and others come; return when it is committed."""
        living = list(self._living)
        records: list[AnyRecord] = []
        for index in range(restarts):
            number = living[(self._rounds * 7_919 + index * 199) % len(living)]
            self._living[number] += 1
            records.append(a_pod(number, version=self._living[number], term=self._term))
        for number in living[:: len(living) // goes][:goes]:
            version = self._living.pop(number) + 1
            records.append(a_pod(number, version=version, term=self._term, gone=True))
        for _ in range(comes):
            self._living[self._newest] = 1
            records.append(a_pod(self._newest, term=self._term))
            self._newest += 1
        self._n += 1
        answer = await self._teller.ask(Batch(n=self._n, count=len(records), records=encode_records(records)))
        if answer != Ack(n=self._n):
            raise RuntimeError(f"a batch was not taken: {answer}")


class _Talk:
    """One connection of an agent, which answers pings for as long as it is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._pong = asyncio.Event()

    async def run(self) -> None:
        """Read until the connection ends."""
        async for message in self._socket:
            if message.type == aiohttp.WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type == aiohttp.WSMsgType.PONG:
                self._pong.set()
            elif message.type == aiohttp.WSMsgType.BINARY:
                self._answers.put_nowait(decode_from_aggregator(message.data))

    async def say(self, message: Message) -> None:
        await self._socket.send_bytes(encode_message(message))

    async def ask(self, message: Message) -> Message:
        """Return what is answered."""
        await self.say(message)
        async with asyncio.timeout(30):
            return await self._answers.get()

    async def heard(self) -> None:
        """Return when everything that was said has been taken: pings wait their turn."""
        self._pong.clear()
        await self._socket.ping()
        async with asyncio.timeout(30):
            await self._pong.wait()


@asynccontextmanager
async def crowd(ingest: str) -> AsyncIterator[Crowd]:
    """Connect all agents, and end them."""
    async with AsyncExitStack() as stack:
        # aiohttp opens a hundred connections at most, unless it is told otherwise.
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        async def open_talk(agent: str, scope: str, node: str = "") -> _Talk:
            url = ingest.rstrip("/") + "/ingest/v1"
            socket = await stack.enter_async_context(session.ws_connect(url, autoping=False))
            talk = _Talk(socket)
            running = asyncio.create_task(talk.run(), name=agent)
            stack.callback(running.cancel)
            hello = Hello(
                protocol=PROTOCOL_VERSION,
                agent=agent,
                scope=scope,
                node=node,
                version="bench",
                instance=f"instance-{agent}",
                spool_id=f"spool-{agent}",
                cluster_uid="bench",
            )
            welcome = await talk.ask(hello)
            if not isinstance(welcome, Welcome):
                raise TypeError(f"{agent} was not welcomed: {welcome}")
            return talk

        nodes = [node_of(number) for number in range(NODES)]
        teller = await open_talk("cluster/0", "cluster")
        found = Crowd(teller, {node: await open_talk(f"node/{node}", "node", node) for node in nodes})
        await found.claim()
        yield found


_SPACE = Space(capacity_bytes=100 * 2**30, available_bytes=61_234_567_890, used_bytes=46_139_614_510, inodes=6_553_600)


def _usage(node: str, numbers: list[int], rounds: int) -> Usage:
    now = time.time_ns()
    own = NodeUsage(
        name=node,
        compute=_compute(1, rounds, now),
        root=_SPACE,
        images=_SPACE,
        network=_network(1, rounds, now),
    )
    pods = tuple(_usage_of(number, place, rounds, now) for place, number in enumerate(numbers))
    return Usage(source="kubelet", node=node, nodes=(own,), pods=pods)


def _usage_of(number: int, place: int, rounds: int, now: int) -> PodUsage:
    workload = f"service-{number % WORKLOADS:04d}"
    name = f"{workload}-5d8f7c9b6d-{number:05d}"
    return PodUsage(
        namespace=f"team-{number % NAMESPACES:03d}",
        name=name,
        uid=f"00000000-0000-4000-8000-{number:012d}",
        containers=tuple(
            ContainerUsage(
                name=container, compute=_compute(number, rounds, now), disk_bytes=1_000_003 * number + rounds
            )
            for container in (("app", "envoy") if number % 4 == 0 else ("app",))
        ),
        volumes=(VolumeUsage(name="data", claim=f"data-{name}", space=_SPACE),) if place % 10 == 0 else (),
        network=_network(number, rounds, now),
        disk_bytes=1_300_027 * number + rounds,
    )


def _compute(number: int, rounds: int, now: int) -> Compute:
    return Compute(
        at=now,
        started_at=now - 3 * 86_400 * _SECOND,
        cpu_nanoseconds=123_456_789 * (number + 1) + rounds * (1_234_567_891 + number),
        cpu_nanocores=1_234_567 * number,
        memory_bytes=12_345_678 + 1_237 * number + 4_096 * rounds,
    )


def _network(number: int, rounds: int, now: int) -> Network:
    return Network(
        at=now,
        received_bytes=987_654_321 * number + rounds * (54_321 + number),
        sent_bytes=123_456_789 * number + rounds * (12_345 + number),
    )
