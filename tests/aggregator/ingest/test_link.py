"""The aggregator's end of the link, spoken to by raw websockets: order, lanes, errors, supersession, shutdown."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web
from prometheus_client import CollectorRegistry

from aggregator.errors import LinkRefused, PeersUnknown, StoreUnavailable
from aggregator.ingest.conversing import Batches, Outgoing, Requests
from aggregator.ingest.link import LinkServer
from aggregator.ingest.peers import Peer
from aggregator.metrics import LinkMetrics
from kubescribe.wire.codec import decode_from_aggregator, decode_records, encode_message, encode_records
from kubescribe.wire.link import (
    MAX_MESSAGE_BYTES,
    Ack,
    Batch,
    Busy,
    Claim,
    Grant,
    Granted,
    Hello,
    Refused,
    Reply,
    Report,
    StreamClaim,
    Welcome,
)
from kubescribe.wire.records import Presence, Progress


@dataclass
class MemoryIngest:
    """Only as much of an ingest as the link needs to talk to."""

    last_n: int = 0
    batches: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    gone_agents: list = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    refusal: Exception | None = None

    async def welcome(self, session, hello):  # noqa: ARG002 - the Protocol's
        if self.refusal is not None:
            raise self.refusal
        return Welcome(
            protocol=1,
            journal_id="j",
            epoch=1,
            redaction_key=b"k",
            last_n=self.last_n,
            window_batches=4,
            window_bytes=2**20,
            credit=2,
            heartbeat_seconds=15,
            server_time=0,
        )

    async def claim(self, session, claim):  # noqa: ARG002 - the Protocol's
        return Granted(streams=tuple(Grant(name=it.name, term=1, epoch=1, resource_version=0) for it in claim.streams))

    async def submit(self, session, batch):  # noqa: ARG002 - the Protocol's
        await self.gate.wait()
        if self.busy:
            raise StoreUnavailable("disk full")
        decode_records(batch.records)
        self.batches.append(batch.n)
        return batch.n

    async def report(self, session, presence):  # noqa: ARG002 - the Protocol's
        self.reports.append(presence)

    async def gone(self, session):
        self.gone_agents.append(session.agent)


@dataclass
class Scene:
    """A link server that listens, and a client to speak to it."""

    ingest: MemoryIngest
    server: LinkServer
    registry: CollectorRegistry
    client: ClientSession
    url: str

    def errors(self, code):
        return self.registry.get_sample_value("kubescribe_link_errors_total", {"code": code}) or 0

    async def connect(self, *, token="right", **options):
        return await self.client.ws_connect(
            self.url + "/ingest/v1",
            headers={"Authorization": f"Bearer {token}"},
            max_msg_size=0,
            heartbeat=None,
            **options,
        )

    async def opened(self, agent="a", spool_id="s"):
        socket = await self.connect()
        await say(socket, hello(agent, spool_id))
        assert isinstance(await hear(socket), Welcome)
        return socket


def hello(agent="a", spool_id="s", protocol=1):
    return Hello(
        protocol=protocol,
        agent=agent,
        scope="node",
        version="1",
        instance="i",
        spool_id=spool_id,
        cluster_uid="c",
    )


def batch(n):
    return Batch(
        n=n, count=1, records=encode_records([Progress(stream="nodes", term=1, resource_version=n, observed_at=n)])
    )


async def say(socket, message):
    await socket.send_bytes(encode_message(message))


async def hear(socket):
    """Return the next message, None at the end."""
    async with asyncio.timeout(20):
        frame = await socket.receive()
    return decode_from_aggregator(frame.data) if frame.type is WSMsgType.BINARY else None


class Known:
    """Knows two tokens, one of them bound to a node, and fails for a third."""

    async def peer_of(self, token):
        if token == "unknowable":
            raise PeersUnknown("the API server is away")
        return {"right": Peer(name="anybody"), "bound": Peer(name="sa", scope="node", node="n1")}.get(token)


@pytest_asyncio.fixture
async def scene():
    ingest = MemoryIngest()
    ingest.gate.set()
    registry = CollectorRegistry()
    server = LinkServer(
        ingest,
        LinkMetrics(registry),
        authenticator=Known(),
        hello_seconds=0.2,
        busy_seconds=0.01,
        heartbeat_seconds=0.5,
        draw=lambda low, _: low,
    )
    app = web.Application()
    server.add_to(app)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as client:
        yield Scene(ingest, server, registry, client, f"http://127.0.0.1:{runner.addresses[0][1]}")
        ingest.gate.set()
    await runner.cleanup()


async def refused(socket):
    """Return the Refused that ends the conversation, and hold that nothing comes after it."""
    while not isinstance(message := await hear(socket), Refused):
        assert message is not None, "ended without a reason"
    assert await hear(socket) is None
    return message


async def test_batches_are_acknowledged_in_order_after_their_commit(scene):
    socket = await scene.opened()
    scene.ingest.gate.clear()
    for n in (1, 2, 3):
        await say(socket, batch(n))
    await asyncio.sleep(0.02)
    assert scene.ingest.batches == []
    scene.ingest.gate.set()
    acknowledged = 0
    while acknowledged < 3:
        message = await hear(socket)
        assert isinstance(message, Ack)
        assert message.n > acknowledged
        acknowledged = message.n

    assert scene.ingest.batches == [1, 2, 3]
    await socket.close()


async def test_a_repeated_batch_is_acknowledged_and_not_processed(scene):
    scene.ingest.last_n = 5
    socket = await scene.opened()
    await say(socket, batch(3))
    await say(socket, batch(6))
    heard = {(await hear(socket)).n}
    while 6 not in heard:
        heard.add((await hear(socket)).n)

    assert scene.ingest.batches == [6]
    await socket.close()


async def test_a_hole_in_the_numbers_ends_the_connection(scene):
    socket = await scene.opened()
    await say(socket, batch(2))

    message = await refused(socket)
    assert (message.code, scene.errors("outOfOrder")) == ("outOfOrder", 1)
    assert "2 came where 1 is due" in message.message


async def test_a_busy_journal_is_told_and_the_batch_may_come_again(scene):
    socket = await scene.opened()
    scene.ingest.busy = True
    await say(socket, batch(1))
    assert isinstance(await hear(socket), Busy)
    await say(socket, batch(2))  # sent before Busy was read: left out
    scene.ingest.busy = False
    await say(socket, batch(1))
    assert await hear(socket) == Ack(n=1)
    await say(socket, batch(2))
    assert await hear(socket) == Ack(n=2)

    assert scene.ingest.batches == [1, 2]
    await socket.close()


async def test_a_batch_that_does_not_decode_ends_that_connection_alone(scene):
    healthy = await scene.opened("b", "t")
    socket = await scene.opened()
    await say(socket, Batch(n=1, count=1, records=b"not zstd"))

    assert (await refused(socket)).code == "malformed"
    await say(healthy, batch(1))
    assert await hear(healthy) == Ack(n=1)
    assert scene.errors("malformed") == 1
    await healthy.close()


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", b"\x80", encode_message(hello())[:-3], b"\xff" * 100], ids=lambda frame: frame[:4].hex()
)
async def test_a_frame_that_is_not_a_message_is_malformed(scene, frame):
    socket = await scene.opened()
    await socket.send_bytes(frame)

    assert (await refused(socket)).code == "malformed"


async def test_a_text_frame_is_malformed(scene):
    socket = await scene.opened()
    await socket.send_str("{}")

    message = await refused(socket)
    assert message.code == "malformed"
    assert "binary" in message.message


async def test_a_frame_just_over_the_limit_is_told_and_a_larger_one_is_cut_off(scene):
    socket = await scene.opened()
    await socket.send_bytes(b"\x00" * (MAX_MESSAGE_BYTES + 1))
    assert (await refused(socket)).code == "tooLarge"
    socket = await scene.opened()
    # Cut off while the frame is still on its way, or when it has arrived: the client sees one or the other.
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(b"\x00" * (MAX_MESSAGE_BYTES + 1000))
        while await hear(socket) is not None:
            pass
    async with asyncio.timeout(20):
        while scene.errors("tooLarge") < 2:
            await asyncio.sleep(0.002)
    await socket.close()


async def test_silence_before_hello_is_ended(scene):
    socket = await scene.connect()

    message = await refused(socket)
    assert message.code == "malformed"
    assert "no hello" in message.message


async def test_the_first_message_must_be_hello_and_the_only_one(scene):
    socket = await scene.connect()
    await say(socket, batch(1))
    assert (await refused(socket)).code == "malformed"
    socket = await scene.opened()
    await say(socket, hello())
    assert "second hello" in (await refused(socket)).message


async def test_another_protocol_is_refused_by_name(scene):
    socket = await scene.connect()
    await say(socket, hello(protocol=99))

    message = await refused(socket)
    assert (message.code, scene.errors("protocol")) == ("protocol", 1)
    assert "99" in message.message


async def test_a_refusal_of_the_ingest_is_told_as_it_says(scene):
    scene.ingest.refusal = LinkRefused("cluster", "another cluster's journal", 30.0)
    socket = await scene.connect()
    await say(socket, hello())

    message = await refused(socket)
    assert (message.code, message.message, message.retry_after_seconds) == ("cluster", "another cluster's journal", 30)
    assert scene.ingest.gone_agents == []


async def test_an_agent_that_is_not_who_its_token_says_is_refused_and_counted(scene):
    socket = await scene.connect(token="bound")
    await say(socket, hello("node/n2"))

    message = await refused(socket)
    assert (message.code, scene.errors("unauthorized")) == ("unauthorized", 1)
    assert "bound to the node 'n1'" in message.message


async def test_while_nobody_can_tell_whose_a_token_is_the_answer_is_503_and_no_refusal(scene):
    with pytest.raises(WSServerHandshakeError) as caught:
        await scene.connect(token="unknowable")

    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "5")
    assert scene.errors("unauthorized") == 0


async def test_a_wrong_token_is_401(scene):
    with pytest.raises(WSServerHandshakeError) as caught:
        await scene.connect(token="wrong")

    assert (caught.value.status, scene.errors("unauthorized")) == (401, 1)


async def test_a_second_connection_of_an_agent_supersedes_the_first(scene):
    first = await scene.opened()
    second = await scene.opened()

    message = await refused(first)
    assert (message.code, message.retry_after_seconds) == ("superseded", None)
    await say(second, batch(1))
    assert await hear(second) == Ack(n=1)
    await second.close()


async def test_a_report_and_a_claim_pass_batches_that_wait_for_their_commit(scene):
    socket = await scene.opened()
    scene.ingest.gate.clear()
    await say(socket, batch(1))
    await say(socket, batch(2))
    await say(socket, Claim(streams=(StreamClaim(name="nodes", kind="Node"),)))
    await say(socket, Report(presence=Presence(agent="a", state="report", observed_at=1)))

    assert isinstance(await hear(socket), Granted)
    async with asyncio.timeout(10):
        while not scene.ingest.reports:
            await asyncio.sleep(0.002)
    await socket.close()


async def test_more_batches_than_two_windows_are_refused(scene):
    socket = await scene.opened()
    scene.ingest.gate.clear()
    for n in range(1, 12):
        await say(socket, batch(n))

    assert "window" in (await refused(socket)).message


async def test_a_peer_that_no_longer_answers_pings_is_given_up(scene):
    socket = await scene.connect(autoping=False)
    await say(socket, hello())
    assert isinstance(await hear(socket), Welcome)
    async with asyncio.timeout(20):
        while not scene.ingest.gone_agents:
            await asyncio.sleep(0.01)

    assert scene.errors("lost") == 1
    await socket.close()


async def test_a_stop_tells_every_agent_to_come_again(scene):
    sockets = [await scene.opened(f"agent-{i}", f"spool-{i}") for i in range(5)]
    stopping = asyncio.create_task(scene.server.stop())
    said = [await refused(socket) for socket in sockets]
    await asyncio.wait_for(stopping, 10)

    assert {(it.code, it.retry_after_seconds) for it in said} == {("stopping", 0.5)}
    assert sorted(scene.ingest.gone_agents) == [f"agent-{i}" for i in range(5)]
    late = await scene.connect()
    assert (await refused(late)).code == "stopping"


async def test_an_acknowledgement_never_covers_a_batch_that_failed():
    gates = {n: asyncio.get_running_loop().create_future() for n in (1, 2, 3)}
    told, failed = [], []
    batches = Batches(
        lambda one: gates[one.n], last_n=0, limit=8, on_committed=told.append, on_failed=lambda _: failed.append(1)
    )
    for n in (1, 2, 3):
        batches.take(batch(n))
    gates[3].set_result(3)
    gates[2].set_exception(StoreUnavailable("full"))
    gates[1].set_result(1)
    await asyncio.sleep(0.01)
    assert max(told) == 1
    gates[2] = asyncio.get_running_loop().create_future()
    gates[2].set_result(2)
    batches.take(batch(2))
    await asyncio.sleep(0.01)
    await batches.close()

    assert (max(told), failed) == (3, [1])


async def test_a_reply_beyond_the_credit_is_refused():
    requests = Requests(Outgoing(None, None, send_seconds=1), credit=1)
    answers = requests.ask("lines", b"", 10)
    asking = asyncio.create_task(anext(answers))
    await asyncio.sleep(0)
    requests.answered(Reply(id=1, last=False, payload=b"a"))

    with pytest.raises(LinkRefused, match="beyond the credit"):
        requests.answered(Reply(id=1, last=False, payload=b"b"))
    assert await asking == b"a"
    requests.answered(Reply(id=1, payload=b"c"))
    assert [part async for part in answers] == [b"c"]
