"""
Kill -9, of anything, at any moment, under load: nothing is lost, nothing is there twice, the state is the cluster's.

The moments are drawn from a seed. The long form of the same test is a soak.
"""

import asyncio
import random

import pytest

RATE = 2000


async def kill_again_and_again(it, *, seed: int, rounds: int) -> None:
    draw = random.Random(seed)
    for _ in range(rounds):
        await asyncio.sleep(draw.uniform(0.05, 0.9))
        victims = draw.choice([[it.agent], [it.aggregator], [it.agent, it.aggregator]])
        await asyncio.gather(*(victim.kill() for victim in victims))
        await asyncio.sleep(draw.uniform(0.0, 0.4))
        await asyncio.gather(*(victim.start() for victim in victims))


async def shows_nothing_lost(rig, seed: int, rounds: int) -> None:
    async with rig("--pods", "60", "--nodes", "5", "--window-events", "200000", "--seed", str(seed)) as it:
        await it.control.load(RATE)
        await kill_again_and_again(it, seed=seed, rounds=rounds)
        await it.control.load(0)

        finding = await it.judged()

        assert finding.problems == []
        assert finding.judged > rounds * RATE * 0.3
        assert {gap["cause"] for gap in it.gaps()} <= {"agent_absent", "watch_disconnected"}
        assert it.lost() == [] or await recovered(it)


async def recovered(it) -> bool:
    """Wait until every gap is closed: what was blind came back whole."""
    for _ in range(600):
        if not it.lost():
            return True
        await asyncio.sleep(0.05)
    pytest.fail(f"not recovered: {[gap for gap in it.gaps() if gap['outcome'] != 'recovered']}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killing_agent_and_aggregator_loses_nothing(rig, seed):
    await shows_nothing_lost(rig, seed, rounds=6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_killing_them_for_long_loses_nothing(rig, seed):
    await shows_nothing_lost(rig, seed, rounds=60)
