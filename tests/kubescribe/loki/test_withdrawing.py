"""What waits for Loki can be taken back, and leaves nothing behind; what is under way stays."""

import asyncio

from kubescribe.loki.pushes import Outcome
from tests.kubescribe.loki.house import NOW, fake_loki, push_of, sending, until

RATE = (429, "Ingestion rate limit exceeded for user a (limit: 1 bytes/sec) while attempting to ingest")


async def test_a_push_that_waits_is_taken_back_and_its_room_is_free():
    is_held = True
    async with fake_loki(lambda _: (403, "no") if is_held else None) as loki, sending(loki.url) as sender:
        first = await sender.submit(push_of("web", "one", at=NOW))
        await until(lambda: loki.requests)
        second = await sender.submit(push_of("web", "two", at=NOW + 1))

        await until(lambda: sender.withdraw(second))
        await until(lambda: sender.withdraw(first))
        await asyncio.sleep(0)

        assert (first.cancelled(), second.cancelled()) == (True, True)
        assert (sender.withdraw(first), sender.numbers.waiting_bytes) == (False, 0)
        is_held = False
        again = await sender.submit(push_of("web", "three", at=NOW + 2))
        assert await again == Outcome(accepted=1)
    assert loki.requests[-1].lines == ["three"]


async def test_what_a_request_carries_stays():
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def decide(_request):
        arrived.set()
        await answer.wait()

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        outcome = await sender.submit(push_of("web", "one"))
        await arrived.wait()

        assert not sender.withdraw(outcome)

        answer.set()
        assert await outcome == Outcome(accepted=1)


async def test_a_lane_that_is_paced_for_days_lets_go_at_once():
    is_held = True
    async with fake_loki(lambda _: RATE if is_held else None) as loki, sending(loki.url) as sender:
        outcome = await sender.submit(push_of("web", "x" * 10_000))
        await until(lambda: loki.requests)
        await until(lambda: any(lane._paced for lane in sender._lanes.values()))

        assert sender.withdraw(outcome)

        await until(lambda: not any(lane._paced for lane in sender._lanes.values()))
        assert not any(lane._queue for lane in sender._lanes.values())


async def test_a_push_of_which_loki_has_a_part_stays():
    is_held = True

    def decide(request):
        if len(request.lines) > 1:
            return 413, "too large"
        return RATE if is_held and request.lines == ["two"] else None

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        outcome = await sender.submit(push_of("web", "one", "two"))
        await until(lambda: loki.lines('{app="web"}') == ["one"])
        await until(lambda: any(lane._paced or lane._queue for lane in sender._lanes.values()))

        assert not sender.withdraw(outcome)

        is_held = False
        assert await outcome == Outcome(accepted=2)
    assert loki.lines('{app="web"}') == ["one", "two"]


async def test_pushes_of_a_stream_are_taken_back_in_any_order_and_the_others_go_on_in_theirs():
    is_held = True
    async with fake_loki(lambda _: (403, "no") if is_held else None) as loki, sending(loki.url) as sender:
        outcomes = [await sender.submit(push_of("web", str(number), at=NOW + number)) for number in range(6)]
        for number in (5, 2, 0):
            await until(lambda number=number: sender.withdraw(outcomes[number]))
        is_held = False
        await asyncio.gather(*(outcomes[number] for number in (1, 3, 4)))

    assert loki.lines('{app="web"}') == ["1", "3", "4"]
