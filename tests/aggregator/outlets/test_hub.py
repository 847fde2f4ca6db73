"""One frame for all, bookmarks, limits."""

import asyncio

from aggregator.outlets.filters import Filter


async def test_seats_with_the_same_id_and_position_share_one_frame(bench_of, feed, subscribe, until):
    bench = bench_of()
    feed(bench.hub.run())
    wires = []
    for _ in range(3):
        client, wire = bench.client()
        written = wire.frames = []
        wire.write = lambda data, written=written: written.append(data)
        wires.append(wire)
        subscribe(bench, client)
    await until(lambda: all(len(wire.frames) == 1 for wire in wires))

    bench.publish(1)
    await until(lambda: all(len(wire.frames) == 2 for wire in wires))
    bench.publish(1)
    await until(lambda: all(len(wire.frames) == 3 for wire in wires))

    assert len({id(wire.frames[1]) for wire in wires}) == 1
    assert len({id(wire.frames[2]) for wire in wires}) == 1


async def test_a_quiet_subscription_gets_bookmarks_that_move_its_resume_point(bench_of, feed, subscribe, until):
    bench = bench_of(heartbeat_seconds=0.05)
    feed(bench.hub.run())
    client, wire = bench.client()
    subscribe(bench, client, wanted=Filter(namespace="mine"))
    await until(lambda: len(wire.messages()) == 1)

    bench.publish(7, namespace="other")
    await until(lambda: any(m["type"] == "bookmark" and m["seq"] == 7 for m in wire.messages()))
    bench.publish(1, namespace="mine")
    await until(lambda: wire.seqs() == [8])

    assert wire.deltas()[0]["prev"] == 7


async def test_a_peer_that_answers_no_ping_is_dropped(bench_of, feed, until):
    bench = bench_of(heartbeat_seconds=0.02)
    feed(bench.hub.run())
    client, wire = bench.client()

    await until(lambda: client.gone == "silent")

    assert wire.messages()[-1]["type"] == "bye"


async def test_clients_above_the_limit_are_not_taken(bench_of):
    bench = bench_of(max_clients=1)
    _, wire = bench.client()

    assert bench.hub.connect(wire, bench.framing, hears=True) is None


async def test_an_event_stream_hears_the_same_in_its_own_framing(
    bench_of, feed, subscribe, until, event_stream_framing
):
    bench = bench_of()
    feed(bench.hub.run())
    client, wire = bench.client(event_stream_framing)
    subscribe(bench, client)
    await until(lambda: b"bookmark" in wire.data)
    wire.data.clear()

    bench.publish(2)
    await until(lambda: b"delta" in wire.data)

    size, _, chunk = bytes(wire.data).partition(b"\r\n")
    assert len(chunk) == int(size, 16) + 2
    assert chunk.startswith(b'id: 2\ndata: {"type":"delta","id":"a","prev":0,"seq":2,')
    assert chunk.endswith(b"]}\n\n\r\n")


async def test_a_burst_beyond_the_ring_is_read_from_the_journal(bench_of, feed, subscribe, until):
    bench = bench_of(ring_items=10)
    feed(bench.hub.run())
    client, wire = bench.client()
    subscribe(bench, client)
    await until(lambda: len(wire.messages()) == 1)

    bench.publish(500)
    await until(lambda: wire.seqs() == list(range(1, 501)))

    assert bench.journal.reads >= 1


async def test_a_delta_is_cut_before_it_grows_too_large(bench_of, feed, subscribe, until):
    bench = bench_of()
    feed(bench.hub.run())
    client, wire = bench.client()
    subscribe(bench, client)
    await until(lambda: len(wire.messages()) == 1)

    bench.publish(10, pad=100_000)
    await until(lambda: wire.seqs() == list(range(1, 11)))

    assert len(wire.deltas()) == 5


async def test_nobody_hears_what_was_not_asked_for(bench_of, feed, subscribe, until):
    bench = bench_of()
    feed(bench.hub.run())
    client, wire = bench.client()
    subscribe(bench, client, name="o", topic="occurrences")
    subscribe(bench, client, name="g", topic="gaps", wanted=Filter(namespace="elsewhere"))
    await until(lambda: len(wire.messages()) == 2)

    bench.publish(1)
    bench.publish(1, topic="occurrences")
    bench.publish(1, topic="gaps")
    await until(lambda: wire.seqs("g") == [3])
    await asyncio.sleep(0.01)

    assert wire.seqs("o") == [2]
