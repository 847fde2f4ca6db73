"""
Attackers of the link, beside an agent that goes on delivering.

Each attack ends its own connection with a counted, clear error, and nothing of the agent's is lost.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from kubescribe.wire.codec import compress_records, decode_from_aggregator, encode_message, encode_records
from kubescribe.wire.link import Ack, Batch, Claim, Hello, Refused, Reply, StreamClaim, Welcome
from kubescribe.wire.records import Change, Gap, Occurrence, Progress
from tests.e2e.processes import Rig, eventually

pytestmark = pytest.mark.timeout(60)


def hello(rig: Rig, **changes: Any) -> Hello:
    uid = rig.get("/api/v1/status").json()["clusterUid"]
    said = Hello(
        protocol=1,
        agent="attacker",
        scope="all",
        version="0",
        instance=os.urandom(4).hex(),
        spool_id=os.urandom(6).hex(),
        cluster_uid=uid,
    )
    return msgspec.structs.replace(said, **changes)


@asynccontextmanager
async def connection(rig: Rig) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = rig.aggregator.said["ingest"].rstrip("/") + "/ingest/v1"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        yield socket


async def heard(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """Return the next message, None at the end."""
    async with asyncio.timeout(15):
        frame = await socket.receive()
    return decode_from_aggregator(frame.data) if frame.type is aiohttp.WSMsgType.BINARY else None


async def refusal(socket: aiohttp.ClientWebSocketResponse) -> Refused:
    while (message := await heard(socket)) is not None:
        if isinstance(message, Refused):
            assert await heard(socket) is None
            return message
    pytest.fail("the connection ended without a word")


async def welcomed(rig: Rig, socket: aiohttp.ClientWebSocketResponse, **changes: Any) -> Welcome:
    await socket.send_bytes(encode_message(hello(rig, **changes)))
    message = await heard(socket)
    assert isinstance(message, Welcome), message
    return message


@asynccontextmanager
async def unharmed(rig: Rig, code: str | None) -> AsyncIterator[None]:
    """Hold that the error is counted once, and that the agent's own connection lives and still delivers."""
    label = f'kubescribe_link_errors_total{{code="{code}"}}'
    before, links = rig.aggregator.metric(label), rig.agent.events("link.connected")

    yield

    if code is not None:
        eventually(lambda: rig.aggregator.metric(label) == before + 1, lambda: rig.aggregator.log[-1000:])
    async with rig.cluster.control() as control:
        namespace = await control.create("namespaces", {"metadata": {"name": f"after-{os.urandom(4).hex()}"}})
    metadata = namespace["metadata"]
    await asyncio.to_thread(rig.arrived, metadata["uid"], metadata["resourceVersion"])
    assert rig.agent.events("link.connected") == links
    assert rig.agent.popen.poll() is None
    assert rig.aggregator.popen.poll() is None
    assert "Traceback" not in rig.aggregator.log
    assert rig.aggregator.metric("kubescribe_link_connections") == 1


def progress(n: int = 1) -> Progress:
    return Progress(stream="attack", term=1, resource_version=n, observed_at=1)


def batch(n: int, records: bytes | None = None) -> bytes:
    return encode_message(Batch(n=n, count=1, records=encode_records([progress()]) if records is None else records))


@pytest.mark.parametrize(
    ("first", "code", "said"),
    [
        (b"\x00", "malformed", "link: "),
        (b"", "malformed", "link: "),
        (b"\x81\xa4type\xa5Dream", "malformed", "Dream"),
        (os.urandom(4096), "malformed", "link: "),
        (b"\x91" * 100_000, "malformed", "link: "),
        (b"\xdf\xff\xff\xff\xff", "malformed", "link: "),
        (b"x" * (8 * 2**20 + 1), "tooLarge", "at most 8388608 are accepted"),
        (batch(1), "malformed", "the first message must be Hello, not Batch"),
    ],
    ids=["not msgpack", "empty", "unknown type", "noise", "nesting", "claims 4 G items", "a byte too large", "batch"],
)
async def test_a_first_frame_that_is_no_hello(rig: Rig, first: bytes, code: str, said: str) -> None:
    async with unharmed(rig, code), connection(rig) as socket:
        await socket.send_bytes(first)

        refused = await refusal(socket)

        assert (refused.code, said in refused.message) == (code, True), refused


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"protocol": 99}, "protocol", "the agent speaks protocol 99, this aggregator 1"),
        ({"cluster_uid": "00000000-aaaa"}, "cluster", "give each cluster an aggregator of its own"),
        ({"cluster_uid": "00000000-aaaa", "agent": "all"}, "cluster", "give each cluster an aggregator of its own"),
        ({"agent": ""}, "malformed", "hello: agent, clusterUid and spoolId are required"),
    ],
    ids=["protocol", "cluster", "another cluster's agent of the same name", "nobody"],
)
async def test_a_hello_that_cannot_be_welcomed(rig: Rig, changes: dict[str, Any], code: str, said: str) -> None:
    async with unharmed(rig, code), connection(rig) as socket:
        await socket.send_bytes(encode_message(hello(rig, **changes)))

        refused = await refusal(socket)

        assert (refused.code, said in refused.message) == (code, True), refused


BOMB = compress_records(b"\x00" * (80 * 2**20))


@pytest.mark.parametrize(
    ("frames", "code", "said"),
    [
        ([batch(2)], "outOfOrder", "batch 2 came where 1 is due"),
        ([batch(0), batch(5)], "outOfOrder", "batch 5 came where 1 is due"),
        ([batch(1, b"no zstd")], "malformed", "batch: "),
        ([batch(1, compress_records(b"\x91" * 50_000))], "malformed", "batch: "),
        ([batch(1, compress_records(b"\x91\xc0"))], "malformed", "batch: "),
        ([batch(1, BOMB)], "tooLarge", "at most 67108864 are accepted"),
        ([b"\x93\x01"], "malformed", "link: "),
    ],
    ids=["gap", "gap after a zero", "no zstd", "nested records", "no record", "bomb", "noise"],
)
async def test_a_conversation_that_goes_wrong(rig: Rig, frames: list[bytes], code: str, said: str) -> None:
    async with unharmed(rig, code), connection(rig) as socket:
        await welcomed(rig, socket)
        for frame in frames:
            await socket.send_bytes(frame)

        refused = await refusal(socket)

        assert (refused.code, said in refused.message) == (code, True), refused


async def test_a_frame_far_too_large_is_cut_off(rig: Rig) -> None:
    """The aggregator does not read it to its end, so that the sender may see a reset in the place of the reason."""
    async with unharmed(rig, "tooLarge"), connection(rig) as socket:
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(b"x" * (64 * 2**20))
            await refusal(socket)


async def test_replies_that_nobody_asked_for(rig: Rig) -> None:
    async with unharmed(rig, None), connection(rig) as socket:
        await welcomed(rig, socket)
        for number in range(1000):
            await socket.send_bytes(encode_message(Reply(id=number, payload=b"x" * 1000)))
        await socket.send_bytes(batch(1))

        while not isinstance(await heard(socket), Ack):
            pass


@pytest.mark.parametrize("number", [2**62, 2**64 - 1, -(2**63)])
async def test_numbers_that_no_journal_holds(rig: Rig, number: int) -> None:
    """In a group with the agent's batches, which must not fail with them."""
    change = Change(
        stream="configmaps",
        term=1,
        kind="ConfigMap",
        name="beyond",
        uid=os.urandom(4).hex(),
        resource_version=number,
        observed_at=number,
        generation=number,
        body=b'{"kind":"ConfigMap"}',
    )
    occurrence = Occurrence(
        stream="events", term=1, uid="o", name="o", resource_version=number, observed_at=number, first_at=number
    )
    gap = Gap(id="g", stream="events", cause="attack", start=number, to=number)
    for record in (change, occurrence, gap, progress(number)):
        async with unharmed(rig, "malformed"), connection(rig) as socket:
            await welcomed(rig, socket)
            await socket.send_bytes(batch(1, encode_records([record])))

            assert (await refusal(socket)).code == "malformed"
    for path in ("changes?limit=1000", "occurrences?limit=1000", "gaps?limit=1000", "objects?limit=1000", "status"):
        assert rig.get(f"/api/v1/{path}").status == 200, path


async def test_a_text_frame(rig: Rig) -> None:
    async with unharmed(rig, "malformed"), connection(rig) as socket:
        await socket.send_str("hello")

        assert (await refusal(socket)).message == "a text frame; the link is binary"


async def test_a_second_hello(rig: Rig) -> None:
    async with unharmed(rig, "malformed"), connection(rig) as socket:
        await welcomed(rig, socket)
        await socket.send_bytes(encode_message(hello(rig)))

        assert (await refusal(socket)).message == "a second hello"


async def test_a_batch_that_comes_again_is_acknowledged_and_kept_once(rig: Rig) -> None:
    async with unharmed(rig, None):
        for _ in range(2):
            async with connection(rig) as socket:
                await welcomed(rig, socket, spool_id="replayer")
                for n in (1, 1, 1, 2):
                    await socket.send_bytes(batch(n))
                while (await heard(socket)) != Ack(n=2):
                    pass


async def test_a_connection_that_says_nothing_is_ended(rig: Rig) -> None:
    async with unharmed(rig, "malformed"), connection(rig) as socket:
        assert (await refusal(socket)).message == "no hello within 10 s"


async def test_one_that_vanishes_takes_nobody_along(rig: Rig) -> None:
    async with unharmed(rig, None):
        for _ in range(20):
            async with connection(rig) as socket:
                await socket.send_bytes(encode_message(hello(rig)))
                transport = socket.get_extra_info("socket")
                assert transport is not None
        eventually(lambda: rig.aggregator.metric("kubescribe_link_connections") == 1)


async def test_claims_of_one_agent_do_not_stop_another(rig: Rig) -> None:
    """What was claimed by the attacker is claimed back by nobody, yet observations are taken from anyone."""
    streams = tuple(StreamClaim(name=f"made-up-{at}", kind="Dream") for at in range(1000))
    async with unharmed(rig, None), connection(rig) as socket:
        await welcomed(rig, socket)
        await socket.send_bytes(encode_message(Claim(streams=streams)))

        assert len((await heard(socket)).streams) == 1000


async def test_requests_that_are_no_websocket(rig: Rig) -> None:
    ingest = rig.aggregator.said["ingest"].rstrip("/")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{ingest}/ingest/v1") as answer:
            assert answer.status == 400
        async with session.get(f"{ingest}/nowhere") as answer:
            assert (answer.status, answer.content_type) == (404, "application/problem+json")
        async with session.post(f"{ingest}/ingest/v1", data=b"x" * 100) as answer:
            assert answer.status == 405
