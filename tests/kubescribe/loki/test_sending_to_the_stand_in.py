"""The way to Loki against a strict stand-in: its limits, words and silences. Nothing is lost, nothing comes twice."""

import asyncio
import random
import time
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from kubescribe.loki.pushes import Outcome
from kubescribe.loki.query import query_range
from kubescribe.runtime.clock import SystemClock
from simulator.loki.app import running_loki
from simulator.loki.faults import Cut
from simulator.loki.limits import Limits
from tests.kubescribe.loki.house import QUICK, labels_of, outcomes, push_of, sending, until

HOUR = 3600 * 10**9


def lines_of(loki, query):
    return [entry.line for entry in loki.entries(query)]


async def test_nothing_is_lost_or_doubled_over_cuts_refusals_and_outages():
    draw = random.Random(3)
    now = time.time_ns()
    apps = [f"app{n}" for n in range(6)]
    pushes = [push_of(app, f"{n}.0", f"{n}.1", at=now + n * 10) for n in range(40) for app in apps]
    async with running_loki() as loki, sending(loki.url, replace(QUICK, linger_seconds=0.002)) as sender:
        submitted = []
        for number, push in enumerate(pushes):
            if number % 20 == 0:
                match draw.randrange(5):
                    case 0:
                        loki.faults.answer(500, 2)
                    case 1:
                        loki.faults.cut(Cut.AFTER, 2)
                    case 2:
                        loki.faults.cut(Cut.HALFWAY, 2)
                    case 3:
                        loki.faults.answer(503, 1, retry_after="0")
                    case _:
                        await loki.down()
                        await until(lambda: sender.numbers.pushes["none"], 5)
                        await loki.up()
            submitted.append(await sender.submit(push))
        results = [await outcome for outcome in submitted]

        assert all(result == Outcome(accepted=2) for result in results)
        for app in apps:
            assert lines_of(loki, labels_of(app)) == [f"{n}.{part}" for n in range(40) for part in (0, 1)]


async def test_a_node_that_was_cut_off_for_hours_gets_its_lines_in_under_late():
    now = time.time_ns()
    async with running_loki() as loki, sending(loki.url, clock=SystemClock()) as sender:
        await outcomes(sender, push_of("web", "of another node", at=now, pod="p-1"))
        old = [push_of("web", f"{n}", at=now - 5 * HOUR + n * 30 * 60 * 10**9) for n in range(10)]

        results = await outcomes(sender, *old)

        assert results == [Outcome(accepted=1)] * 10
        assert lines_of(loki, '{app="web", late="1"}') == [str(n) for n in range(8)]
        found = {entry.line for entry in loki.entries('{app="web"}')}
        assert found == {"of another node", *map(str, range(10))}


async def test_a_tenant_over_its_rate_is_paced_and_loses_nothing():
    now = time.time_ns()
    limits = Limits(ingestion_rate_bytes=200_000, ingestion_burst_bytes=100_000)
    pushes = [push_of(f"app{n % 3}", f"{n:03d}" + "x" * 20_000, at=now + n) for n in range(15)]
    async with running_loki(limits) as loki, sending(loki.url) as sender:
        results = await outcomes(sender, *pushes)

        assert all(result == Outcome(accepted=1) for result in results)
        assert len(loki.entries('{app=~".+"}')) == 15
        assert sender.numbers.pushes["429"] >= 1


async def test_one_hot_stream_is_slowed_by_its_own_limit_alone():
    now = time.time_ns()
    limits = Limits(stream_rate_bytes=20_000, stream_burst_bytes=20_000)
    async with running_loki(limits) as loki, sending(loki.url, replace(QUICK, lanes=1)) as sender:
        hot = [await sender.submit(push_of("hot", f"{n}" + "x" * 9_000, at=now + n)) for n in range(4)]
        assert await outcomes(sender, push_of("cold", "c", at=now)) == [Outcome(accepted=1)]
        assert not hot[-1].done()

        assert [await outcome for outcome in hot] == [Outcome(accepted=1)] * 4
        assert [line[0] for line in lines_of(loki, labels_of("hot"))] == ["0", "1", "2", "3"]


async def test_streams_for_which_there_is_no_place_wait_until_there_is():
    now = time.time_ns()
    async with running_loki(Limits(max_streams=2)) as loki, sending(loki.url) as sender:
        await outcomes(sender, push_of("a", "1", at=now), push_of("b", "1", at=now))
        third = await sender.submit(push_of("c", "1", at=now))
        assert await outcomes(sender, push_of("a", "2", at=now + 1)) == [Outcome(accepted=1)]
        await until(lambda: sender.numbers.pushes["429"] >= 1)
        assert not third.done()

        loki.loki.limits = replace(loki.loki.limits, max_streams=3)
        loki.loki.ingester.limits = loki.loki.limits

        assert await third == Outcome(accepted=1)


async def test_what_was_refused_is_told_of_the_push_that_held_it_and_of_no_other():
    now = time.time_ns()
    async with running_loki(Limits(max_line_bytes=100)) as loki, sending(loki.url) as sender:
        # One stream, as the pods of a workload have it; one request, of which Loki says how many it refused.
        first, second, third = await outcomes(
            sender,
            push_of("web", "a", at=now),
            push_of("web", "b", "x" * 200, at=now + 10),
            push_of("web", "c", at=now + 20),
        )

        assert (first, third) == (Outcome(accepted=1), Outcome(accepted=1))
        assert second == Outcome(accepted=1, rejected={"line_too_long": 1})
        assert lines_of(loki, labels_of("web")) == ["a", "b", "c"]


@pytest.mark.parametrize("what", ["long", "old", "new"])
async def test_of_a_push_with_bad_entries_the_good_ones_arrive_and_the_bad_ones_are_counted(what):
    now = time.time_ns()
    bad, reason = {
        "long": (push_of("web", "x" * 300_000, at=now + 1), "line_too_long"),
        "old": (push_of("web", "old", at=now - 8 * 24 * HOUR), "greater_than_max_sample_age"),
        "new": (push_of("web", "new", at=now + HOUR), "too_far_in_future"),
    }[what]
    good = push_of("web", "a", at=now)
    both = msgspec.structs.replace(good, entries=bad.entries + good.entries, count=2, first_at=min(bad.first_at, now))
    async with running_loki() as loki, sending(loki.url) as sender:
        assert await outcomes(sender, both) == [Outcome(accepted=1, rejected={reason: 1})]

        assert lines_of(loki, labels_of("web")) == ["a"]
        assert len(loki.requests) == 1


async def test_lines_can_be_asked_for_by_their_time():
    now = time.time_ns()
    async with running_loki() as loki, sending(loki.url) as sender:
        await outcomes(sender, push_of("web", "a", "b", "c", at=now))
        client = sender._client

        forward = await query_range(client, '{app="web"}', start_ns=now, end_ns=now + 10, limit=2)
        backward = await query_range(
            client, '{app="web"}', start_ns=now, end_ns=now + 10, limit=2, direction="backward"
        )

        assert [found.line for found in forward] == ["a", "b"]
        assert [found.line for found in backward] == ["c", "b"]
        assert forward[0].at_ns == now
        assert forward[0].labels["app"] == "web"


async def test_a_stop_and_a_new_sender_lose_nothing_and_double_nothing():
    now = time.time_ns()
    pushes = [push_of(f"app{n % 3}", f"{n}", at=now + n) for n in range(60)]
    done = set()
    async with running_loki() as loki:
        loki.faults.cut(Cut.AFTER, 3)
        for _ in range(2):
            async with sending(loki.url, replace(QUICK, linger_seconds=0.005)) as sender:
                waiting = {n: await sender.submit(push) for n, push in enumerate(pushes) if n not in done}
                # The first is stopped when something has arrived, the second when everything has.
                share = 10 if not done else len(waiting)
                async with asyncio.timeout(10):
                    while sum(outcome.done() for outcome in waiting.values()) < share:
                        await asyncio.sleep(0.002)
                done |= {n for n, outcome in waiting.items() if outcome.done()}

        assert sorted(int(entry.line) for entry in loki.entries('{app=~".+"}')) == list(range(60))


async def test_nothing_is_lost_or_doubled_when_everything_happens_at_once():
    """Old lines between new ones, low limits, faults of every kind, senders that are stopped and follow each other."""
    draw = random.Random(11)
    now = time.time_ns()
    limits = Limits(
        ingestion_rate_bytes=2_000_000,
        ingestion_burst_bytes=300_000,
        stream_rate_bytes=1_000_000,
        stream_burst_bytes=100_000,
    )
    pushes = [
        push_of(
            f"app{draw.randrange(8)}",
            *(f"{n}.{k} {'x' * draw.randrange(1500)}" for k in range(draw.randrange(1, 5))),
            at=(now if draw.random() > 0.1 else now - 3 * HOUR) + n * 100,
        )
        for n in range(150)
    ]
    done = set()
    async with running_loki(limits) as loki:

        def misbehave():
            match draw.randrange(40):
                case 0:
                    loki.faults.answer(500, 2)
                case 1 | 2 | 3:
                    loki.faults.cut(draw.choice([Cut.BEFORE, Cut.HALFWAY, Cut.AFTER]), 2)

        for share in (30, 90, 150):
            async with sending(loki.url, replace(QUICK, waiting_bytes=60_000), clock=SystemClock()) as sender:
                waiting = {}
                rest = [(n, push) for n, push in enumerate(pushes) if n not in done]
                submitting = asyncio.create_task(_submit(sender, rest, waiting, misbehave))
                await until(partial(_has, waiting, share - len(done)), 20)
                submitting.cancel()
                await asyncio.wait([submitting])
                done |= {n for n, outcome in waiting.items() if outcome.done()}
                assert not [it for it in waiting.values() if it.done() and it.result().rejected]

        names = [entry.line.split()[0] for entry in loki.entries('{app=~".+"}')]
        assert sorted(names) == sorted(f"{n}.{k}" for n, push in enumerate(pushes) for k in range(push.count))
        assert loki.entries('{late="1"}')


async def _submit(sender, pushes, waiting, misbehave):
    for n, push in pushes:
        misbehave()
        waiting[n] = await sender.submit(push)


def _has(waiting, count):
    return sum(outcome.done() for outcome in waiting.values()) >= count
