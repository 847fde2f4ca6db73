"""A push waits for its turn only so long, and who sends what unpacks to a hundred times its size soon waits alone."""

import asyncio
import gzip
import threading
import time

import pytest

from kubescribe.gateway.decoding import WASTED_SECONDS, Decoding
from kubescribe.gateway.errors import COME_AGAIN_SECONDS, Busy, TooLarge
from kubescribe.gateway.intake import Received, Understood
from kubescribe.runtime.worker import Worker
from tests.kubescribe.gateway.house import NOW, pushing, snappy, stream

JSON = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def received(body=b"x"):
    return Received(api="loki", body=body, content_type="", encoding="", tenant="", at=NOW)


@pytest.fixture
def thread():
    with Worker("decoding") as made:
        yield made


async def test_who_waits_too_long_for_the_thread_is_told_to_come_again(thread):
    going = threading.Event()

    def understand(_):
        going.wait(10)
        return Understood(digest=b"", body=None, found={})

    decoding = Decoding(thread, understand)
    first = [asyncio.create_task(decoding.understand(received(), "a")) for _ in range(2)]
    await asyncio.sleep(0)
    decoding.patience_seconds = 0.01
    with pytest.raises(Busy, match="wait to be understood") as raised:
        await decoding.understand(received(), "a")
    assert (raised.value.status, raised.value.retry_seconds) == (429, COME_AGAIN_SECONDS)

    going.set()
    assert len(await asyncio.gather(*first)) == 2


async def test_what_a_body_costs_beyond_its_bytes_is_held_against_its_address_for_a_while(thread):
    now = 1000.0

    def understand(each):
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        raise TooLarge("it unpacks to gigabytes")

    decoding = Decoding(thread, understand, now=lambda: now)
    decoding._charge("bomber", WASTED_SECONDS - 0.03)
    for address in ("bomber", "other"):
        with pytest.raises(TooLarge):
            await decoding.understand(received(), address)
    with pytest.raises(Busy, match="far more than was sent"):
        await decoding.understand(received(), "bomber")
    with pytest.raises(TooLarge):
        await decoding.understand(received(), "other")
    # As many bytes as are worth the time.
    with pytest.raises(TooLarge):
        await decoding.understand(received(bytes(1_000_000)), "honest")
    assert decoding.wasted_seconds("honest") == 0

    now += 60
    with pytest.raises(TooLarge):
        await decoding.understand(received(), "bomber")


async def test_packed_bombs_of_one_address_are_refused_with_429_after_a_few(tmp_path):
    # A few hundred bytes that are many lines, and no push in the end.
    lines = '["1","x"],' * 20_000
    bomb = gzip.compress(f'{{"streams":[{{"stream":{{"a":"b"}},"values":[{lines}["never","x"]]}}]}}'.encode())
    async with pushing(tmp_path) as to:
        before = to.gateway.decoding.wasted_seconds("127.0.0.1")
        assert (await to.post(bomb, JSON))[0] == 400
        cost = to.gateway.decoding.wasted_seconds("127.0.0.1")
        assert (before, cost > 0) == (0.0, True)

        to.gateway.decoding._charge("127.0.0.1", WASTED_SECONDS)
        async with to.session.post(to.url + "/loki/api/v1/push", data=snappy(stream('{a="b"}', b"x"))) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, str(COME_AGAIN_SECONDS))
