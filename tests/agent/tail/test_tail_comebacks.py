"""Pods that come back under their old names at once, as static pods do: at any moment of their retirement."""

import asyncio
import random
from pathlib import Path

import pytest

PODS, ROUNDS = 60, 10


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("with_inotify", [True, False], ids=["told", "polled"])
async def test_what_comes_back_at_any_moment_of_its_retirement_is_read_once_and_no_file_stays_open(
    node, eventually, with_inotify: bool
):
    draw = random.Random(5)
    written, arrived = set(), set()

    async def come_back(number: int) -> None:
        log = node.container(f"web-{number}")
        for turn in range(ROUNDS):
            line = f"pod={number} turn={turn}"
            written.add(line)
            log.write([line])
            while line not in arrived:
                await asyncio.sleep(0.01)
            log.remove()
            await asyncio.sleep(draw.random() * 0.1)

    async def receive() -> None:
        while True:
            arrived.update(node.lines())
            await asyncio.sleep(0.05)

    async with node.tailing(scan_seconds=0.02, notified_scan_seconds=0.2, with_inotify=with_inotify) as tailer:
        await eventually(lambda: tailer.finder)
        before = open_files()
        async with asyncio.timeout(60), asyncio.TaskGroup() as pods:
            receiving = asyncio.create_task(receive())
            returning = [pods.create_task(come_back(number)) for number in range(PODS)]
            await asyncio.wait(returning)
            receiving.cancel()
        await eventually(lambda: not tailer.tails)
        # Connections to Loki come and go.
        await eventually(lambda: open_files() <= before + 4)

    assert written == arrived
    assert len(node.lines()) == len(written)
    # What is told of a folder may come after another of its name was read already: a Gap too many, never one too few.
    assert with_inotify or node.gaps == []
    assert {gap.cause for gap in node.gaps} <= {"logDeleted"}
