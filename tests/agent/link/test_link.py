"""The agent's end of the link against the aggregator's real one, over real sockets."""

import asyncio
import socket
import time

import pytest

from agent.link.link import LinkConfig
from agent.spool.limits import SpoolLimits
from agent.spool.marks import StreamMark
from agent.spool.spool import Spool
from aggregator.errors import LinkRefused, RequestFailed
from kubescribe.runtime.room import Room
from kubescribe.wire.link import Adopt, Relist, StreamClaim, Usage
from kubescribe.wire.records import Presence

NODE_B = StreamClaim(name="pods/node=b", kind="Pod")


async def put_all(spool, changes):
    for one in changes:
        await spool.put([one], StreamMark(stream=one.stream, resource_version=one.resource_version))
    await spool.flush()


async def test_every_record_arrives_once_and_in_order(aggregator, spool, linked, make_change, eventually):
    ingest = aggregator.ingest
    async with linked(aggregator.url, spool):
        await put_all(spool, (make_change(version) for version in range(1, 301)))
        await eventually(lambda: len(ingest.records) >= 300)

    assert ingest.versions() == list(range(1, 301))


async def test_claims_are_granted_and_said_again_on_the_next_connection(aggregator, spool, linked, eventually):
    app = linked.app
    async with linked(aggregator.url, spool) as link:
        link.claim([StreamClaim(name="pods/node=a", kind="Pod")])
        await eventually(lambda: len(app.grants) == 1)
        link.claim([StreamClaim(name="nodes", kind="Node")])
        await eventually(lambda: len(app.grants) == 2)
        await aggregator.stop()
        await aggregator.start()
        await eventually(lambda: len(app.grants) >= 4)

    assert {grant.name for grant in app.grants[-2:]} == {"pods/node=a", "nodes"}


async def test_what_was_put_while_the_aggregator_was_away_arrives_when_it_is_back(
    aggregator, spool, linked, make_change, eventually
):
    ingest = aggregator.ingest
    async with linked(aggregator.url, spool):
        await put_all(spool, [make_change(1)])
        await eventually(lambda: ingest.versions() == [1])
        await aggregator.stop()
        await put_all(spool, (make_change(version) for version in range(2, 200)))
        await aggregator.start()
        await eventually(lambda: len(ingest.records) >= 199)

    assert ingest.versions() == list(range(1, 200))


async def test_a_busy_journal_is_asked_again_and_nothing_is_skipped(aggregator, spool, linked, make_change, eventually):
    ingest = aggregator.ingest
    aggregator.server.busy_seconds = 0.02
    ingest.busy = True
    async with linked(aggregator.url, spool):
        await put_all(spool, (make_change(version) for version in range(1, 50)))
        await asyncio.sleep(0.1)
        assert ingest.versions() == []
        ingest.busy = False
        await eventually(lambda: len(ingest.records) >= 49)

    assert ingest.versions() == list(range(1, 50))


async def test_no_more_batches_are_under_way_than_the_window_allows(aggregator, spool, linked, make_change, eventually):
    ingest = aggregator.ingest
    ingest.window_batches = 3
    ingest.open_gate.clear()
    for version in range(1, 30):
        await put_all(spool, [make_change(version)])
    async with linked(aggregator.url, spool) as link:
        await eventually(lambda: ingest.under_way == 3)
        await asyncio.sleep(0.05)
        assert link.status.under_way == 3
        ingest.open_gate.set()
        await eventually(lambda: len(ingest.records) >= 29)

    assert ingest.most_under_way == 3


async def test_a_report_passes_while_a_long_replay_is_under_way(aggregator, tmp_path, linked, make_change, eventually):
    ingest = aggregator.ingest
    # Incompressible, so that 100 MB really travel.
    noise = [random_bytes(seed) for seed in range(8)]
    limits = SpoolLimits(retry_seconds=0.02)
    async with await Spool.open(tmp_path / "big", agent="node-a", limits=limits, room=lambda _: Room(1, 1)) as spool:
        await spool.bind_cluster("cluster-1")
        for version in range(1, 129):
            await spool.put([make_change(version, body=noise[version % 8])], None)
        await spool.flush()
        assert spool.stats().bytes > 100_000_000
        async with linked(aggregator.url, spool) as link:
            await eventually(lambda: len(ingest.records) > 0)
            link.report(Presence(agent="node-a", state="report", observed_at=1))
            await eventually(lambda: ingest.reports)
            at_report = len(ingest.records)
            await eventually(lambda: len(ingest.records) == 128)

    assert at_report < 100
    assert ingest.versions() == list(range(1, 129))


def random_bytes(seed):
    import random

    return random.Random(seed).randbytes(800_000)


async def test_the_newest_round_of_usage_is_sent_and_nothing_that_is_old(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    async with linked(aggregator.url, spool) as link:
        link.send_usage([Usage(source="kubelet", node="old")])
        link.send_usage([Usage(source="kubelet", node="n1"), Usage(source="kubelet", node="n1")])
        await eventually(lambda: ingest.usages)
        link.report(Presence(agent="node-a", state="report", observed_at=1))
        await eventually(lambda: ingest.reports)

    assert [usage.node for usage in ingest.usages] == ["n1", "n1"]


async def test_an_aggregator_that_does_not_take_usage_is_sent_none(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    ingest.takes_usage = False
    async with linked(aggregator.url, spool) as link:
        link.send_usage([Usage(source="kubelet", node="n1")])
        link.report(Presence(agent="node-a", state="report", observed_at=1))
        await eventually(lambda: ingest.reports)

    assert ingest.usages == []


async def test_a_half_open_connection_is_found(spool, linked, eventually):
    accepted = []
    over = asyncio.Event()

    async def mute(reader, writer):
        accepted.append(asyncio.current_task())
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with linked(f"http://127.0.0.1:{port}", spool, deadlines={"connect_seconds": 0.05}) as link:
            await eventually(lambda: len(accepted) >= 2)
            await eventually(lambda: link.status.state == "waiting")
            assert "no connection within" in link.status.detail
    finally:
        server.close()
        over.set()
        await asyncio.gather(*accepted)


async def test_a_connection_that_falls_silent_is_given_up_and_made_anew(
    aggregator, spool, linked, make_change, eventually
):
    ingest = aggregator.ingest
    pipe = Pipe(aggregator.port)
    await pipe.start()
    try:
        async with linked(pipe.url, spool, deadlines={"silence_seconds": 0.3}) as link:
            await put_all(spool, [make_change(1)])
            await eventually(lambda: ingest.versions() == [1])
            pipe.mute()
            await put_all(spool, [make_change(2)])
            await eventually(lambda: ingest.versions() == [1, 2])
            assert link.status.connections >= 2
    finally:
        await pipe.stop()


class Pipe:
    """A TCP relay whose present connections can be made to swallow every byte without closing."""

    def __init__(self, port):
        self._target = port
        self._muted = set()
        self._tasks = set()
        self._writers = []

    async def start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def mute(self):
        self._muted.update(self._writers)

    async def stop(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source, sink):
        try:
            while data := await source.read(65536):
                if sink not in self._muted:
                    sink.write(data)
                    await sink.drain()
            if sink not in self._muted:
                sink.close()
        except ConnectionError:
            sink.transport.abort()


async def test_a_wrong_token_is_refused_and_a_corrected_token_file_is_read_again(
    aggregator, spool, linked, tmp_path, eventually
):
    await aggregator.stop()
    aggregator.token = "right"
    await aggregator.start()
    token_file = tmp_path / "token"
    token_file.write_text("wrong\n")
    async with linked(aggregator.url, spool, token_file=token_file) as link:
        await eventually(lambda: link.status.state == "refused")
        assert "401" in link.status.detail
        token_file.write_text("right\n")
        await eventually(lambda: link.status.state == "connected")


async def test_a_refusal_is_surfaced_and_tried_again_as_it_says(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    ingest.refusal = LinkRefused("cluster", "this journal belongs to another cluster", 0.01)
    async with linked(aggregator.url, spool) as link:
        await eventually(lambda: link.status.refusals >= 2)
        assert "another cluster" in link.status.detail
        ingest.refusal = None
        await eventually(lambda: link.status.state == "connected")


async def test_the_journal_key_of_the_welcome_is_kept_beside_the_spool(aggregator, spool, linked, eventually):
    app = linked.app
    async with linked(aggregator.url, spool):
        await eventually(lambda: app.welcomes)

    assert (spool.redaction_key, spool.journal_id) == (b"k" * 32, "journal")


async def test_what_is_to_be_adopted_reaches_the_app(aggregator, spool, linked, eventually):
    app, ingest = linked.app, aggregator.ingest
    async with linked(aggregator.url, spool):
        await eventually(lambda: ingest.sessions)
        await ingest.sessions["node-a"].send(Adopt(streams=(NODE_B,)))
        await ingest.sessions["node-a"].send(Adopt(streams=()))
        await eventually(lambda: len(app.adopts) == 2)

    assert app.adopts == [(NODE_B,), ()]


async def test_what_is_claimed_once_is_not_claimed_by_the_next_connection(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    async with linked(aggregator.url, spool) as link:
        link.claim_once([NODE_B])  # not connected yet: there is no connection to claim it on
        await eventually(lambda: link.status.state == "connected")
        for number in (1, 2):
            link.claim_once([NODE_B])
            await eventually(lambda number=number: len(ingest.claims) == number)
        link.claim([StreamClaim(name="nodes", kind="Node")])
        await eventually(lambda: len(ingest.claims) == 3)

        await aggregator.stop()
        await aggregator.start()
        await eventually(lambda: len(ingest.claims) == 4)

    named = [[claim.name for claim in claims.streams] for claims in ingest.claims]
    assert named == [["pods/node=b"], ["pods/node=b"], ["nodes"], ["nodes"]]


async def test_a_relist_that_the_aggregator_asks_for_reaches_the_app(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    app = linked.app
    async with linked(aggregator.url, spool):
        await eventually(lambda: ingest.sessions)
        await ingest.sessions["node-a"].send(Relist(epoch=3, streams=("nodes",), reason="restored"))
        await eventually(lambda: app.relists)

    assert app.relists == [(("nodes",), 3, "restored")]


async def test_a_request_is_answered_in_parts_beyond_the_first_credit(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest

    async def lines(arguments):
        for number in range(20):
            yield arguments + b"%d" % number

    async with linked(aggregator.url, spool, handlers={"lines": lines}):
        await eventually(lambda: ingest.sessions)
        answer = [part async for part in ingest.sessions["node-a"].request("lines", b"x")]

    assert answer == [b"x%d" % number for number in range(20)]


async def test_a_request_fails_for_an_unknown_verb_a_failing_handler_and_a_deadline(
    aggregator, spool, linked, eventually
):
    ingest = aggregator.ingest
    closed = []

    async def fails(arguments):
        yield b"one"
        raise ValueError("broken")

    async def hangs(arguments):
        try:
            await asyncio.sleep(60)
            yield b""
        finally:
            closed.append(True)

    async with linked(aggregator.url, spool, handlers={"fails": fails, "hangs": hangs}):
        await eventually(lambda: ingest.sessions)
        session = ingest.sessions["node-a"]
        with pytest.raises(RequestFailed, match="unknown verb"):
            _ = [part async for part in session.request("nothing")]
        with pytest.raises(RequestFailed, match="broken"):
            _ = [part async for part in session.request("fails")]
        with pytest.raises(RequestFailed, match=r"in time|deadline"):
            _ = [part async for part in session.request("hangs", deadline_seconds=0.05)]
        await eventually(lambda: closed)


async def test_a_request_under_way_is_cancelled_when_the_link_breaks(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    began, ended = asyncio.Event(), asyncio.Event()

    async def hangs(arguments):
        began.set()
        try:
            await asyncio.sleep(60)
            yield b""
        finally:
            ended.set()

    async with linked(aggregator.url, spool, handlers={"hangs": hangs}):
        await eventually(lambda: ingest.sessions)

        async def ask():
            return [part async for part in ingest.sessions["node-a"].request("hangs")]

        asking = asyncio.create_task(ask())
        await began.wait()
        await aggregator.stop()
        await asyncio.wait_for(ended.wait(), 10)
        with pytest.raises(RequestFailed):
            await asking


async def test_an_asker_who_goes_ends_the_answer_at_the_agent(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    ended = asyncio.Event()

    async def flows(arguments):
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with linked(aggregator.url, spool, handlers={"flows": flows}):
        await eventually(lambda: ingest.sessions)
        answer = ingest.sessions["node-a"].request("flows")
        assert await anext(answer) == b"x"

        await answer.aclose()

        await asyncio.wait_for(ended.wait(), 10)


async def test_a_journal_that_was_lost_is_a_gap_and_a_relist_and_the_rest_arrives(
    aggregator, tmp_path, linked, make_change, eventually
):
    ingest = aggregator.ingest
    app = linked.app
    # Small segments, so that acknowledged ones are deleted.
    limits = SpoolLimits(segment_bytes=4096, max_bytes=2**20, linger_seconds=0.001, idle_linger_seconds=0.001)
    async with await Spool.open(tmp_path / "s", agent="node-a", limits=limits, room=lambda _: Room(1, 1)) as spool:
        await spool.bind_cluster("cluster-1")
        async with linked(aggregator.url, spool):
            for version in range(1, 40):
                await put_all(spool, [make_change(version, body=random_bytes(version)[:1000])])
            await eventually(lambda: len(ingest.records) == 39)
            await aggregator.stop()
            ingest.committed.clear()
            ingest.records.clear()
            ingest.journal_id = "another"
            await put_all(spool, [make_change(100)])
            await aggregator.start()
            await eventually(lambda: 100 in ingest.versions() and ingest.gaps())
            await eventually(lambda: app.relists)

    assert {(gap.stream, gap.cause, gap.outcome) for gap in ingest.gaps()} == {("pods/node=a", "journal_lost", "lost")}
    assert app.relists == [(("pods/node=a",), 0, "spool_dropped")]


async def test_what_the_spool_dropped_arrives_as_gaps_and_a_relist(
    aggregator, tmp_path, linked, make_change, eventually
):
    ingest = aggregator.ingest
    app = linked.app
    limits = SpoolLimits(max_bytes=40_000, segment_bytes=4096, linger_seconds=0.001, idle_linger_seconds=0.001)
    async with await Spool.open(tmp_path / "s", agent="node-a", limits=limits, room=lambda _: Room(1, 1)) as spool:
        await spool.bind_cluster("cluster-1")
        for version in range(1, 101):
            await put_all(spool, [make_change(version, body=random_bytes(version)[:1000])])
        async with linked(aggregator.url, spool):
            await eventually(lambda: ingest.gaps() and app.relists)

    [gap] = ingest.gaps()
    assert (gap.stream, gap.cause, gap.outcome) == ("pods/node=a", "spool_full", "lost")
    assert ingest.versions() == list(range(gap.count + 1, 101))
    assert (gap.start, gap.to) == (1_001, 1_000 + gap.count)
    assert app.relists == [(("pods/node=a",), 0, "spool_dropped")]


async def test_an_aggregator_that_is_not_there_is_tried_again_without_end(spool, linked, eventually):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with linked(f"http://127.0.0.1:{port}", spool) as link:
        await eventually(lambda: link.status.state == "waiting")
        assert "127.0.0.1" in link.status.detail


async def test_a_stopping_aggregator_says_so_and_the_agent_returns(aggregator, spool, linked, eventually):
    ingest = aggregator.ingest
    async with linked(aggregator.url, spool) as link:
        await eventually(lambda: ingest.sessions)
        started = time.monotonic()
        await aggregator.stop()
        assert time.monotonic() - started < 3
        await eventually(lambda: link.status.refusals >= 1 or link.status.state == "waiting")
        await aggregator.start()
        await eventually(lambda: len(ingest.hellos) >= 2)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://agg:8081", "ws://agg:8081/ingest/v1"),
        ("https://agg/", "wss://agg/ingest/v1"),
        ("ws://agg:1/ingest/v1", "ws://agg:1/ingest/v1"),
    ],
)
def test_the_address_of_the_link_follows_from_the_aggregators_url(url, address):
    config = LinkConfig(url=url, agent="a", scope="node", version="1", instance="i")

    assert config.address == address
