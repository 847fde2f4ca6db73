"""What goes wrong on a bad day: processes are killed at any moment, Loki fails in every way. Drawn from a seed."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks import daemons
from simulator.loki.app import RunningLoki

RATE_LIMITED = "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest"


async def misbehave(loki: RunningLoki, draw: random.Random, enough: asyncio.Event) -> None:
    """Be as bad as a Loki is on its worst day, a fault after the other, until it is *enough*."""
    while not enough.is_set():
        await asyncio.sleep(draw.uniform(0.05, 0.4))
        match draw.randrange(7):
            case 0:
                loki.faults.answer(500, draw.randrange(1, 5))
            case 1:
                loki.faults.answer(503, 2, retry_after="1")
            case 2:
                loki.faults.answer(429, 2, text=RATE_LIMITED)
            case 3 | 4 | 5 as which:
                loki.faults.cut(("before", "halfway", "after")[which - 3], draw.randrange(1, 4))
            case _:
                await loki.down()
                await asyncio.sleep(draw.uniform(0.1, 0.6))
                await loki.up()


async def kill(
    victim: daemons.Daemon, draw: random.Random, enough: asyncio.Event, *, most_seconds: float = 1.2
) -> None:
    """Kill -9 and start again until it is *enough*; *most_seconds* is the longest life."""
    while not enough.is_set():
        await asyncio.sleep(draw.uniform(0.2, most_seconds))
        await victim.kill()
        await asyncio.sleep(draw.uniform(0.0, 0.3))
        await victim.start()


@asynccontextmanager
async def bad_day(loki: RunningLoki, victim: daemons.Daemon, draw: random.Random, **life: float) -> AsyncIterator[None]:
    """Kill *victim* and let *loki* misbehave during the block; at its end all is well, and *victim* starts anew."""
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(misbehave(loki, draw, enough))
        group.create_task(kill(victim, draw, enough, **life))
        yield
        enough.set()
    loki.faults.clear()
    await victim.restart()
