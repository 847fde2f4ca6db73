"""Whoever Loki holds up waits alone, and what it has is not sent again."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp

from kubescribe.gateway import forwarding, ways
from kubescribe.loki.limits import SenderLimits
from simulator.loki.app import running_loki
from simulator.loki.faults import Fault
from simulator.loki.limits import unlimited
from tests.kubescribe.gateway.house import NOW, running, snappy, stream
from tests.kubescribe.loki.house import QUICK, Clock, fake_loki, sending, stream_rate, until

RATE = (429, "Ingestion rate limit exceeded for user a (limit: 1 bytes/sec) while attempting to ingest")


async def push(session, url, body, tenant=""):
    headers = {"X-Scope-OrgID": tenant} if tenant else {}
    async with session.post(url + "/loki/api/v1/push", data=body, headers=headers) as answer:
        return answer.status


def large(labels, number, lines=2500):
    return snappy(stream(labels, *(b"%06d %s" % (number * lines + n, b"x" * 193) for n in range(lines)), at=now()))


def now():
    return time.time_ns()


class Wall(Clock):
    """The real time."""

    def now_ns(self):
        return now()


@asynccontextmanager
async def flowing(folder, url, limits=None):
    """Yield a gateway and how to push to it."""
    async with (
        sending(url, limits or SenderLimits(), Wall()) as sender,
        running(folder, sender) as (gateway, at),
        aiohttp.ClientSession() as session,
    ):
        yield gateway, lambda body, tenant="": push(session, at, body, tenant)


async def test_a_tenant_that_loki_holds_up_keeps_no_other_waiting(tmp_path):
    async with (
        running_loki(replace(unlimited(), auth_enabled=True)) as loki,
        flowing(tmp_path, loki.url) as (gateway, to),
    ):
        loki.faults.add(Fault(count=10**6, code=RATE[0], text=RATE[1], tenant="a"))
        for number in range(40):
            assert await to(large('{app="web"}', number), "a") == 204
        assert await to(snappy(stream('{app="b"}', b"one", at=now())), "b") == 204

        await until(lambda: loki.entries('{app="b"}', tenant="b"), seconds=3)
        assert gateway.forwarder._ways.flying < 8 * 2**20


async def test_a_stream_that_loki_holds_up_keeps_no_other_waiting_and_comes_in_order_later(tmp_path):
    held, is_held = '{app="held"}', True

    def decide(request):
        streams = [labels for labels in request.labels if '"held"' in labels]
        return stream_rate(streams[0]) if streams and is_held else None

    async with fake_loki(decide) as loki, flowing(tmp_path, loki.url, QUICK) as (gateway, to):
        for number in range(12):
            both = snappy(
                stream(held, *(b"%06d %s" % (number * 10 + n, b"x" * 50_000) for n in range(10)), at=NOW + number * 10),
                stream('{app="other"}', b"%06d" % number, at=NOW + number),
            )
            assert await to(both) == 204
        await until(lambda: sum(len(kept) for labels, kept in loki.stored.items() if '"other"' in labels) == 12)
        assert gateway.forwarder._ways.flying < 2**20
        assert gateway.spool.store.cursor.n == 0

        is_held = False
        await until(lambda: gateway.spool.store.cursor.n == 12)

    (labels,) = (labels for labels in loki.stored if '"held"' in labels)
    assert [int(line[:6]) for line in loki.lines(labels)] == list(range(120))
    assert loki.overtaken == []


async def test_what_loki_has_beyond_the_frame_that_waits_is_not_sent_again_after_a_start(tmp_path):
    def decide(request):
        return RATE if request.headers.get("X-Scope-OrgID") == "a" else None

    async with fake_loki(decide) as loki, flowing(tmp_path, loki.url, QUICK) as (_, to):
        await to(snappy(stream('{app="a"}', b"waits")), "a")
        for number in range(5):
            await to(snappy(stream('{app="b"}', b"%d" % number, at=NOW + number)), "b")
        await until(lambda: sum(map(len, loki.stored.values())) == 5)
    async with fake_loki() as loki, flowing(tmp_path, loki.url, QUICK) as (gateway, to):
        await until(lambda: gateway.spool.store.cursor.n == 6)
        await to(snappy(stream('{app="b"}', b"new", at=NOW + 9)), "b")
        await until(lambda: gateway.spool.store.cursor.n == 7)

    assert [line for request in loki.requests for line in request.lines] == ["waits", "new"]


async def test_forty_tenants_that_loki_holds_up_keep_no_other_waiting(tmp_path):
    def decide(request):
        return None if request.headers.get("X-Scope-OrgID") == "b" else RATE

    body = snappy(stream('{app="a"}', *(b"x" * 1000 for _ in range(100))))
    async with fake_loki(decide) as loki, flowing(tmp_path, loki.url, QUICK) as (_, to):
        for number in range(80):
            assert await to(body, f"a{number % 40}") == 204
        await to(snappy(stream('{app="b"}', b"one")), "b")

        await until(lambda: loki.stored)


async def test_tenants_that_loki_holds_up_keep_no_other_waiting_however_many_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "HELD_SECONDS", 0.3)
    monkeypatch.setattr(forwarding, "LOOK_SECONDS", 0.05)
    is_held = True

    def decide(request):
        return (403, "no") if is_held and request.headers.get("X-Scope-OrgID") != "b" else None

    limits = replace(QUICK, max_setting_seconds=0.5)
    body = snappy(stream('{app="a"}', b"x" * 200_000))
    async with fake_loki(decide) as loki, flowing(tmp_path, loki.url, limits) as (gateway, to):
        for number in range(60):
            assert await to(body, f"a{number}") == 204
        for number in range(3):
            assert await to(snappy(stream('{app="b"}', b"%d" % number, at=NOW + number)), "b") == 204
            await until(lambda number=number: len(loki.lines('{app="b"}')) == number + 1, seconds=30)
        assert gateway.forwarder._ways.flying <= 9 * 2**20

        is_held = False
        await until(lambda: gateway.spool.store.cursor.n == 63, seconds=30)

    taken = [it.headers["X-Scope-OrgID"] for it in loki.requests if it.labels == ['{app="a"}']]
    assert set(taken) == {f"a{number}" for number in range(60)}


async def test_a_frame_of_thousands_of_streams_leaves_the_loop_to_others_meanwhile(tmp_path):
    most = before = 0
    body = snappy(*(stream(f'{{app="a{number}"}}', b"x") for number in range(2000)))
    async with fake_loki(lambda _: RATE) as loki, flowing(tmp_path, loki.url) as (gateway, to):

        async def turns():
            nonlocal most, before
            while True:
                flying = gateway.forwarder._ways.flying // ways.PUSH_BYTES
                most, before = max(most, flying - before), flying
                await asyncio.sleep(0)

        turning = asyncio.create_task(turns())
        assert await to(body) == 204
        await until(lambda: gateway.forwarder._routed == 1)
        turning.cancel()

    assert before > 1000
    assert most < 700
