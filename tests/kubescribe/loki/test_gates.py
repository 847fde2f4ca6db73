"""While Loki is away one asks at a time, and nobody waits longer than until it answers."""

import asyncio

from kubescribe.loki.gates import Gate
from kubescribe.runtime.clock import SystemClock


def gate(*, patience=2, seconds=0.01):
    return Gate(first_seconds=seconds, cap_seconds=seconds, patience=patience, clock=SystemClock())


async def test_it_closes_after_failures_in_a_row_and_says_so_once():
    it = gate(patience=2)
    assert not it.failed()
    it.succeeded()
    assert not it.failed()

    assert it.failed()

    assert it.is_closed
    assert not it.failed()
    assert it.succeeded()
    assert not it.is_closed


async def test_an_open_gate_lets_everybody_through_at_once():
    it = gate()
    async with it.passage(), it.passage():
        pass


async def test_a_closed_gate_lets_one_through_at_a_time_until_one_succeeds():
    it = gate(patience=1)
    it.failed()
    inside = most = through = 0

    async def ask(number):
        nonlocal inside, most, through
        async with it.passage():
            inside += 1
            most = max(most, inside if it.is_closed else 0)
            await asyncio.sleep(0)
            if number == 2:
                it.succeeded()
            elif it.is_closed:
                it.failed()
            inside -= 1
            through += 1

    await asyncio.gather(*(ask(number) for number in range(6)))

    assert (most, through) == (1, 6)


async def test_those_in_line_do_not_wait_out_the_pause_when_it_opens():
    it = gate(patience=1, seconds=3600)
    it.failed(3600)

    async def ask():
        async with it.passage():
            pass

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    await asyncio.sleep(0)
    it.succeeded()

    async with asyncio.timeout(5):
        await asyncio.gather(*asking)
