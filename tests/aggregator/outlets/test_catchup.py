"""The way from replay to live and back."""

import asyncio
import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.outlets.catchup import Origin, Subscription
from aggregator.outlets.clients import ClientGone
from aggregator.outlets.filters import EVERYTHING, Filter


def chained(deltas, start):
    prev = start
    for delta in deltas:
        assert delta["prev"] == prev
        assert delta["seq"] == delta["items"][-1]["seq"]
        prev = delta["seq"]
    return prev


STEP = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 30), st.sampled_from(["a", "b"])),
    st.tuples(st.just("commit"), st.integers(1, 5), st.sampled_from(["a", "b"])),
    st.tuples(st.just("stall"), st.just(0), st.just("")),
    st.tuples(st.just("flow"), st.just(0), st.just("")),
    st.tuples(st.just("turn"), st.integers(1, 8), st.just("")),
    st.tuples(st.just("subscribe"), st.integers(0, 40), st.sampled_from(["", "a"])),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=3, max_size=25), ring=st.integers(1, 40), reads=st.integers(0, 3))
def test_replay_goes_over_into_live_without_a_hole_or_a_repeat(bench_of, steps, ring, reads):
    async def scenario():  # noqa: PLR0912 - one step of the story for each verb
        bench = bench_of(ring_items=ring, min_client_bytes=2000, max_client_bytes=2000, batch_seconds=0.0)

        async def pause():
            for _ in range(reads):
                await asyncio.sleep(0)

        bench.journal.pause = pause
        hub = asyncio.create_task(bench.hub.run())
        unpublished = []
        listeners = []
        for verb, number, namespace in steps:
            match verb:
                case "publish":
                    unpublished += bench.commit(number, namespace=namespace, pad=200)
                    bench.hub.publish(unpublished)
                    unpublished = []
                case "commit":
                    unpublished += bench.commit(number, namespace=namespace)
                case "stall":
                    for _, wire, *_ in listeners[:1]:
                        wire.stalled = True
                case "flow":
                    for _, wire, *_ in listeners:
                        wire.flow()
                case "turn":
                    for _ in range(number):
                        await asyncio.sleep(0)
                case "subscribe":
                    client, wire = bench.client()
                    wanted = Filter(namespace=namespace) if namespace else EVERYTHING
                    start = max(0, bench.seq - number)
                    one = Subscription(
                        bench.hub, bench.journal, client, name=f"s{len(listeners) % 2}", topic="changes", wanted=wanted
                    )
                    task = asyncio.create_task(one.run(Origin(seq=start)))
                    listeners.append((task, wire, start, wanted))
        bench.hub.publish(unpublished)
        for _, wire, *_ in listeners:
            wire.flow()
        expected = [
            [r.seq for r in bench.journal.records if r.seq > start and wanted.matches(r)]
            for _, _, start, wanted in listeners
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while any(wire.seqs() != want for (_, wire, *_), want in zip(listeners, expected, strict=True)):
                    await asyncio.sleep(0.001)
        for (_, wire, start, _), want in zip(listeners, expected, strict=True):
            assert wire.seqs() == want
            chained(wire.deltas(), start)
        for task in (hub, *(task for task, *_ in listeners)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(scenario())


async def test_from_a_seq_the_first_prev_is_that_seq_whatever_the_filter_lets_through(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(5, namespace="other")
    bench.publish(1, namespace="mine")
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, wanted=Filter(namespace="mine"), origin=Origin(seq=2))
    await until(lambda: wire.seqs() == [6])
    bench.publish(3, namespace="other")
    bench.publish(1, namespace="mine")
    await until(lambda: wire.seqs() == [6, 10])

    assert wire.messages()[0] | {"time": ""} == {"type": "bookmark", "id": "a", "seq": 2, "time": ""}
    assert chained(wire.deltas(), 2) == 10


async def test_from_a_time_begins_with_the_first_commit_since_it(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(9)
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, origin=Origin(time=7))
    await until(lambda: wire.seqs() == [7, 8, 9])

    assert wire.deltas()[0]["prev"] == 6


async def test_from_below_the_horizon_is_told_as_a_gap_first(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(9)
    bench.journal.records = bench.journal.records[5:]
    bench.journal.horizon = 5
    bench.make_hub()
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, origin=Origin(seq=2))
    await until(lambda: wire.seqs() == [6, 7, 8, 9])

    gap = wire.messages()[0]
    assert (gap["type"], gap["cause"], gap["fromSeq"], gap["toSeq"]) == ("gap", "retention", 2, 5)


async def test_a_resume_point_of_another_journal_is_told_as_a_gap_and_begins_now(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(9)
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, origin=Origin(seq=400, foreign=True))
    await until(lambda: len(wire.messages()) == 2)
    bench.publish(1)
    await until(lambda: wire.seqs() == [10])

    assert wire.messages()[0]["cause"] == "journalChanged"


async def test_a_seq_beyond_the_journal_is_told_as_a_gap(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(3)
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, origin=Origin(seq=50))
    await until(lambda: len(wire.messages()) == 2)

    assert [m["type"] for m in wire.messages()] == ["gap", "bookmark"]
    assert wire.messages()[0]["cause"] == "aheadOfJournal"


async def test_a_slow_client_gets_every_change_in_the_end_and_nothing_waits_for_it(bench_of, feed, subscribe, until):
    bench = bench_of(min_client_bytes=4000, max_client_bytes=4000, ring_items=20)
    feed(bench.hub.run())
    slow, slow_wire = bench.client()
    quick, quick_wire = bench.client()
    subscribe(bench, slow)
    subscribe(bench, quick)
    await until(lambda: len(slow_wire.messages()) == 1 and len(quick_wire.messages()) == 1)

    slow_wire.stalled = True
    for _ in range(30):
        bench.publish(10, pad=100)
        await asyncio.sleep(0.003)
    await until(lambda: quick_wire.seqs() == list(range(1, 301)))
    held = slow_wire.unsent
    slow_wire.flow()
    await until(lambda: slow_wire.seqs() == list(range(1, 301)))

    assert held < 4000 + 10 * 1000
    chained(slow_wire.deltas(), 0)


async def test_a_client_that_takes_nothing_for_long_is_given_up(bench_of, feed, until):
    bench = bench_of(min_client_bytes=1000, max_client_bytes=1000, stuck_seconds=0.05)
    feed(bench.hub.run())
    client, wire = bench.client()
    task = feed(
        Subscription(bench.hub, bench.journal, client, name="a", topic="changes", wanted=EVERYTHING).run(Origin())
    )
    await until(lambda: len(wire.messages()) == 1)

    wire.stalled = True
    bench.publish(20, pad=100)
    await until(lambda: bool(wire.seqs()))
    bench.publish(1)
    await until(task.done)

    assert isinstance(task.exception(), ClientGone)
    assert task.exception().cause == "stuck"


async def test_objects_come_as_the_latest_state_of_each(bench_of, feed, subscribe, until):
    bench = bench_of(ring_items=1000)
    bench.publish(5, uid="one")
    bench.publish(1, uid="two")
    bench.publish(1, uid="one", late=True)
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, topic="objects", origin=Origin(seq=0))
    await until(lambda: bool(wire.deltas()))

    states = [(item["type"], item["uid"], item["resourceVersion"]) for item in wire.deltas()[0]["items"]]
    assert states == [("object", "one", "5"), ("object", "two", "6")]


async def test_a_snapshot_is_followed_by_what_came_after_it(bench_of, feed, subscribe, until):
    bench = bench_of()
    bench.publish(3)
    feed(bench.hub.run())
    client, wire = bench.client()

    subscribe(bench, client, snapshot=True)
    await until(lambda: any(m["type"] == "snapshotEnd" for m in wire.messages()))
    bench.publish(2)
    await until(lambda: wire.seqs() == [4, 5])

    messages = [m for m in wire.messages() if m["type"] != "bookmark"]
    assert [m["type"] for m in messages[:2]] == ["snapshot", "snapshotEnd"]
    assert [item["seq"] for item in messages[0]["items"]] == [1, 2, 3]
    assert chained(wire.deltas(), messages[1]["seq"]) == 5


async def test_a_subscription_that_ends_says_where_it_was(bench_of, feed, until):
    bench = bench_of()
    feed(bench.hub.run())
    client, wire = bench.client()
    one = Subscription(bench.hub, bench.journal, client, name="a", topic="changes", wanted=EVERYTHING)
    task = feed(one.run(Origin()))
    await until(lambda: len(wire.messages()) == 1)

    bench.publish(4)
    await until(lambda: wire.seqs() == [1, 2, 3, 4])
    task.cancel()
    await asyncio.wait([task])
    bench.publish(1)
    await asyncio.sleep(0.02)

    assert one.position == 4
    assert wire.seqs() == [1, 2, 3, 4]
