"""Stalls are seen and measured, collections are short; the loop is uvloop."""

import asyncio
import gc
import time

from kubescribe.runtime.loops import keep_collections_short, run, watch_stalls


async def test_a_stall_is_told_with_its_length() -> None:
    stalls: list[float] = []
    watching = asyncio.create_task(watch_stalls(stalls.append, stall_seconds=0.02, tick_seconds=0.005))
    await asyncio.sleep(0.02)

    time.sleep(0.08)  # noqa: ASYNC251 - the stall itself
    await asyncio.sleep(0.02)
    watching.cancel()

    assert max(stalls) > 0.07
    await asyncio.wait([watching])


async def test_an_idle_loop_has_no_stall_of_a_second() -> None:
    stalls: list[float] = []
    watching = asyncio.create_task(watch_stalls(stalls.append, stall_seconds=1.0, tick_seconds=0.001))

    await asyncio.sleep(0.03)
    watching.cancel()

    assert stalls == []
    await asyncio.wait([watching])


def test_a_role_runs_on_uvloop() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main()).startswith("uvloop")


async def test_objects_that_only_replace_others_do_not_wait_for_one_long_collection() -> None:
    keeping = asyncio.create_task(keep_collections_short(every_seconds=0.001))
    kept = [[] for _ in range(100)]

    async with asyncio.timeout(10):
        while any(it is kept[0] for it in gc.get_objects(generation=0)):
            await asyncio.sleep(0.001)
    keeping.cancel()

    await asyncio.wait([keeping])


async def test_only_while_somebody_looks_are_pythons_own_deeper_collections_rare() -> None:
    usual = gc.get_threshold()
    keeping = asyncio.create_task(keep_collections_short(every_seconds=0.001))
    await asyncio.sleep(0)
    meanwhile = gc.get_threshold()
    keeping.cancel()
    await asyncio.wait([keeping])

    assert meanwhile[2] > 1_000
    assert gc.get_threshold() == usual
