"""A 204 means that the lines will be in Loki, once, whatever happens; everything else says why and whether to retry."""

import asyncio
import gzip
import json
import os
import random
import signal
import socket
import sys
from contextlib import suppress

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from kubescribe.gateway.errors import Busy, DiskFailed
from kubescribe.gateway.store import SpoolLimits
from kubescribe.labels.pods import PodFacts
from kubescribe.labels.selectors import parse_selector
from kubescribe.runtime.room import Room
from tests.kubescribe.gateway.house import ENOUGH, NOW, WEB, Book, pushing, running, snappy, stream
from tests.kubescribe.loki.house import fake_loki, sending, until

TEXT = f'{{namespace="shop", pod="{WEB.name}"}}'


def lines_of(stored):
    return sorted((at, line) for lines in stored.values() for at, line, _ in lines)


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (b"", {}, "empty"),
        (b"\xff" * 20, {}, "snappy"),
        (snappy(b"\x0a\xff"), {}, "protobuf"),
        (snappy(stream("{a=b}", b"x")), {}, "couldn't parse labels"),
        (b"{", {"Content-Type": "application/json"}, "JSON"),
        (b"x", {"Content-Encoding": "br"}, "not supported"),
        (snappy(stream('{a="b"}', b"x")), {"X-Scope-OrgID": "a|b"}, "one tenant"),
    ],
)
async def test_what_cannot_be_parsed_is_told_with_the_reason_and_for_good(tmp_path, body, headers, said):
    async with pushing(tmp_path) as to:
        status, text = await to.post(body, headers)

        assert (status, said in text) == (400, True)
        assert to.gateway.numbers.requests == {400: 1}


async def asked(url, head, body=b""):
    """Return the first line of the answer to a request that is never finished."""
    before = asyncio.all_tasks()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(f"POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
    try:
        async with asyncio.timeout(5):
            return (await reader.readline()).decode().strip()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        # aiohttp reads on for a while, so that its answer is not lost with the rest of the body.
        await until(lambda: asyncio.all_tasks() <= before, seconds=15)


async def test_a_body_beyond_the_limit_is_too_large_however_it_comes(tmp_path):
    async with pushing(tmp_path, max_body_bytes=2**20) as to:
        status, text = await to.post(snappy(stream('{a="b"}', b"x" * 3_000_000)))
        assert (status, "maxBodyBytes" in text) == (413, True)

        # Nobody waits for the rest of it.
        assert "413" in await asked(to.url, "Content-Length: 3000000")
        assert "413" in await asked(to.url, "Transfer-Encoding: chunked", b"200000\r\n" + bytes(0x200000) + b"\r\n")


async def test_a_body_that_ends_too_early_keeps_nothing(tmp_path):
    async with pushing(tmp_path) as to:
        _, writer = await asyncio.open_connection("127.0.0.1", int(to.url.rpartition(":")[2]))
        writer.write(b"POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
        await writer.drain()
        writer.close()

        await until(lambda: to.gateway.numbers.requests == {400: 1})


async def test_a_body_that_does_not_come_gives_its_room_back_and_may_come_again(tmp_path):
    async with pushing(tmp_path) as to:
        to.gateway.body_seconds = 0.2
        # As much as may lie in memory at once: nobody else would be let in.
        assert "429" in await asked(to.url, f"Content-Length: {16 * 2**20}", b"x")

        assert (await to.post(snappy(stream(TEXT, b"one"))))[0] == 204


async def test_a_packed_body_is_let_in_with_the_room_that_it_takes_unpacked(tmp_path):
    async with pushing(tmp_path) as to:
        _, writer = await asyncio.open_connection("127.0.0.1", int(to.url.rpartition(":")[2]))
        writer.write(b"POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        await until(lambda: to.gateway._admission.inside == 8_000_000)
        writer.close()

        await until(lambda: to.gateway._admission.inside == 0)


async def test_a_connection_that_was_stopped_before_its_push_was_let_in_goes_on(tmp_path):
    async with pushing(tmp_path) as to:
        admission = to.gateway._admission
        # Lines that snappy does not make smaller: more than the connection holds by itself.
        body = snappy(stream(TEXT, *(os.urandom(512).hex().encode() for _ in range(2000))))
        async with asyncio.TaskGroup() as group:
            async with admission.let_in(16 * 2**20):
                going = group.create_task(to.post(body))
                await until(lambda: admission._waiting)
            assert (await going)[0] == 204


async def test_a_push_without_a_line_is_nothing(tmp_path):
    async with pushing(tmp_path) as to:
        assert await to.post(b'{"streams": []}', {"Content-Type": "application/json"}) == (204, "")
        assert await to.post(snappy(stream('{a="b"}'))) == (204, "")

        assert to.gateway.numbers.lines == {}


async def test_a_large_body_arrives_in_requests_that_loki_takes(tmp_path):
    lines = [b"line %06d %s" % (n, b"x" * 1000) for n in range(30_000)]
    values = [[str(NOW + n), line.decode()] for n, line in enumerate(lines)]
    body = json.dumps({"streams": [{"stream": {"namespace": "shop", "pod": WEB.name}, "values": values}]}).encode()
    assert len(body) > 29 * 2**20
    async with pushing(tmp_path) as to:
        status, _ = await to.post(
            gzip.compress(body, 1), {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        )
        assert status == 204
        await until(lambda: to.gateway.numbers.accepted == len(lines), seconds=60)

        assert max(request.size for request in to.loki.requests) <= 1.1 * 2**20
        ((_, stored),) = to.loki.stored.items()
        assert [line.encode() for _, line, _ in stored] == lines
        assert to.gateway.numbers.lines == {"enriched": len(lines)}


async def test_the_same_body_again_goes_on_once_also_after_a_start(tmp_path):
    body = snappy(stream(TEXT, b"one"))
    async with fake_loki() as loki, sending(loki.url) as sender, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with running(tmp_path, sender) as (gateway, url):
                answers = [session.post(url + "/loki/api/v1/push", data=body) for _ in range(3)]
                assert [answer.status for answer in await asyncio.gather(*answers)] == [204] * 3
                await until(lambda gateway=gateway: gateway.spool.store.cursor.n == 1)
        assert gateway.numbers.repeats == 3

        # Another tenant's is another.
        async with running(tmp_path, sender) as (gateway, url):
            await session.post(url + "/loki/api/v1/push", data=body, headers={"X-Scope-OrgID": "b"})
            await until(lambda: gateway.numbers.accepted == 1)
    assert [len(request.lines) for request in loki.requests] == [1, 1]


async def test_the_same_words_without_a_time_are_others_when_they_come_again(tmp_path):
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "backed up"}}]}]}]})
    async with pushing(tmp_path) as to:
        for _ in range(2):
            assert (await to.post(body.encode(), {"Content-Type": "application/json"}, "/otlp/v1/logs"))[0] == 204

        await until(lambda: to.gateway.numbers.accepted == 2)
        assert to.gateway.numbers.repeats == 0


async def test_what_loki_did_not_acknowledge_is_sent_again_as_the_same_bytes_whatever_the_pods_became(tmp_path):
    book, refusing = Book(), True
    new = PodFacts(namespace="shop", name=WEB.name, uid="u2", node="n2", owner_kind="DaemonSet", owner_name="other")
    async with fake_loki(lambda _: (500, "no") if refusing else None) as loki, sending(loki.url) as sender:
        async with running(tmp_path, sender, book) as (_, url), aiohttp.ClientSession() as session:
            await session.post(url + "/loki/api/v1/push", data=snappy(stream(TEXT, b"one")))
            await until(lambda: loki.requests)
        first = loki.requests[0].body
    book.pods.append(new)
    refusing = False
    async with fake_loki() as loki, sending(loki.url) as sender, running(tmp_path, sender, book) as (gateway, _):
        await until(lambda: gateway.spool.store.cursor.n == 1)

        assert loki.requests[0].body == first


async def test_a_full_spool_says_429_and_when_to_come_again_and_then_takes_more(tmp_path):
    refusing = True
    body = [snappy(stream(TEXT, random.Random(n).randbytes(150_000).hex().encode())) for n in range(20)]
    async with pushing(
        tmp_path, decide=lambda _: (500, "no") if refusing else None, spool_bytes=2**20, max_body_bytes=2**20
    ) as to:
        taken = 0
        while (answer := await to.post(body[taken]))[0] == 204:
            taken += 1
        async with to.session.post(to.url + "/loki/api/v1/push", data=body[taken]) as again:
            assert (again.status, again.headers["Retry-After"]) == (429, "2")
        assert answer[0] == 429
        async with to.session.get(to.url + "/ready") as ready:
            assert ready.status in (200, 503)

        refusing = False
        async with asyncio.timeout(20):
            while (await to.post(body[taken]))[0] != 204:
                await asyncio.sleep(0.01)
        stored = await to.stored(taken + 1)

        assert len(lines_of(stored)) == taken + 1


async def test_a_disk_that_is_short_says_503_and_nothing_is_written(tmp_path):
    room = ENOUGH(None)
    async with pushing(tmp_path, room=lambda _: room) as to:
        room = Room(0.14, 1.0)
        async with to.session.post(to.url + "/loki/api/v1/push", data=snappy(stream(TEXT, b"x"))) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        async with to.session.get(to.url + "/ready") as ready:
            assert ready.status == 503
        assert not list(tmp_path.glob("*.seg"))

        room = Room(1.0, 1.0)
        assert await to.post(snappy(stream(TEXT, b"x"))) == (204, "")


def test_whoever_gives_up_after_ten_seconds_is_told_to_come_again_several_times_before():
    # The deadline of opentelemetry's exporters for Python and JavaScript, which obey Retry-After or give up at once.
    hints = [error.retry_seconds for error in (Busy, DiskFailed)]

    assert all(0 < 4 * seconds < 10 for seconds in hints)


async def test_what_loki_refuses_is_counted_by_its_reason_and_the_rest_goes_on(tmp_path):
    said = (
        "entry with timestamp 2026-09-21 13:33:20 +0000 UTC ignored, reason: 'Max entry size '262144' bytes exceeded "
        "for stream '{a=\"b\"}' while adding an entry with length '300000' bytes'"
    )

    def decide(request):
        return (400, said) if any(len(line) > 262_144 for line in request.lines) else None

    async with pushing(tmp_path, decide=decide) as to:
        await to.post(snappy(stream('{a="b"}', b"x" * 300_000)))
        await to.post(snappy(stream('{a="b"}', b"short")))
        await until(lambda: to.gateway.spool.store.cursor.n == 2)

        assert to.gateway.numbers.rejected.total() == 1
        assert to.gateway.numbers.accepted == 1


async def test_metrics_tell_what_was_taken_and_what_waits(tmp_path):
    async with pushing(tmp_path, decide=lambda _: (500, "no")) as to:
        registry = CollectorRegistry()
        registry.register(to.gateway.collector)
        await to.post(snappy(stream(TEXT, b"one", b"two"), stream('{a="b"}', b"three")))

        def value(name, **labels):
            return registry.get_sample_value(f"kubescribe_gateway_{name}", labels)

        assert value("requests_total", code="204") == 1
        assert value("lines_total", pod="enriched") == 2
        assert value("lines_total", pod="unknown") == 1
        assert value("spool_bytes") > 0
        assert value("oldest_unsent_seconds") > 0
        assert value("damaged_frames_total") == 0


async def test_too_many_bodies_at_once_wait_and_are_then_told_to_come_again():
    from kubescribe.gateway.admission import Admission

    admission = Admission(100, patience_seconds=0.05)
    async with admission.let_in(500):
        with pytest.raises(Busy):
            async with admission.let_in(1):
                pass
    async with admission.let_in(60), admission.let_in(40):
        assert admission.inside == 100


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_kill_9_loses_no_acknowledged_line_and_doubles_none(tmp_path):
    rng, port, count = random.Random(3), free_port(), 100
    url = f"http://127.0.0.1:{port}/loki/api/v1/push"

    async def start(loki):
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.kubescribe.gateway.process", str(tmp_path), str(port), loki.url
        )

    async def ship(session, shipper):
        for n in range(count):
            at = NOW + (n * 10 + shipper) * 1000
            body = snappy(stream(TEXT, *(b"%d-%d-%d" % (shipper, n, each) for each in range(3)), at=at))
            while True:
                try:
                    async with session.post(url, data=body) as answer:
                        if answer.status == 204:
                            break
                except (aiohttp.ClientError, OSError):
                    await asyncio.sleep(0.02)

    def decide(_):
        # Loki has it and its answer is lost, or it has nothing.
        return rng.choice([None] * 6 + ["cut", "drop", (500, "no")])

    async with fake_loki(decide) as loki, aiohttp.ClientSession() as session:
        process = await start(loki)
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                shippers = [group.create_task(ship(session, shipper)) for shipper in range(2)]
                for kills in range(1, 3):
                    await until(lambda kills=kills: len(loki.requests) > kills * 12 or all(s.done() for s in shippers))
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                    process = await start(loki)
            await until(lambda: sum(map(len, loki.stored.values())) >= 2 * count * 3, seconds=20)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()

        ((labels, lines),) = loki.stored.items()
        found = sorted(line for _, line, _ in lines)
    assert parse_selector(labels)["workload"] == "web"
    assert found == sorted(f"{s}-{n}-{each}" for s in range(2) for n in range(count) for each in range(3))


def test_space_is_given_back_in_eighths():
    assert SpoolLimits(max_bytes=2**20).segment_bytes == 2**17
