"""
Loki is away, and everything else goes on: lines are written and rotated, pods come and go, shippers push.

What that may cost the node is bounded: its disk by the gateway's spool and by the deleted files that are held open, its
memory by what the chart allows. What is in no file any more when Loki is back is a Gap. The long form is a soak.
"""

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
import pytest
import structlog

from benchmarks.memory import peak_bytes
from simulator.logs.sequence import numbered
from tests.chaos.badday import kill
from tests.chaos.covering import uncovered
from tests.chaos.watched import (
    TIMEOUT,
    Watched,
    free_port,
    live_shortly,
    make_pod,
    until,
    until_nothing_is_left,
    until_told,
    watched,
)
from tests.kubescribe.gateway.house import snappy, stream

MIB = 2**20
GENERATOR = (sys.executable, "-m", "simulator.logs.generate")
MEMORY_BYTES = 256 * MIB
"""The chart gives a node's agent half as much again where shippers push; 190 MB were seen when Loki was back: 100 idle,
some 30 of pods that wait, and what is on its way, of files and shippers."""

HELD_BYTES = 512 * MIB
"""Of deleted files; docs/decisions/0010."""

STATE_BYTES = 8 * MIB
"""Of what an agent keeps beside the gateway's spool: places, names, pods, and records on their way."""

PUSH_LINES = 40
SHIPPER = "report-shipped-x1"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """How long Loki is away, and what goes on meanwhile."""

    seconds: float
    spool_bytes: int
    pods: int
    at_once: int
    """Pods that write three lines and live for two seconds each; so many of them at a time."""
    rate: int
    """Lines a second of four containers, of which the kubelet keeps three files of 2 MiB each."""
    is_ill: bool = False
    """Whether it is there, and answers 500."""
    life_seconds: float = 0.0
    """Within which the agent is killed -9, again and again; 0 for never."""


@dataclass
class Bill:
    """The most that was seen of what the agent takes, in bytes; and how its gateway answered."""

    idle: int
    """Its memory before anything went on."""
    memory: int = 0
    data: int = 0
    held: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below *folder*, some of which may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def held_bytes(pid: int, folder: Path) -> int:
    """Return the bytes of deleted files below *folder* that the process keeps on the disk by having them open."""
    sizes: dict[int, int] = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            status = descriptor.stat()
            if not status.st_nlink and str(descriptor.readlink()).startswith(f"{folder}/"):
                sizes[status.st_ino] = status.st_size
        except FileNotFoundError:
            continue
    return sum(sizes.values())


async def look(it: Watched, bill: Bill) -> None:
    """Note for ever what the agent takes."""
    while True:
        bill.data = max(bill.data, await asyncio.to_thread(size_of, it.agent.folder / "data"))
        with suppress(FileNotFoundError, RuntimeError):  # killed just now
            bill.held = max(bill.held, await asyncio.to_thread(held_bytes, it.agent.pid, it.logs))
            bill.memory = max(bill.memory, peak_bytes(it.agent.pid))
        await asyncio.sleep(0.5)


async def push(url: str, bill: Bill, draw: random.Random, enough: asyncio.Event) -> int:
    """Push as a shipper does, the same again until it is taken, and return how many lines were: until *enough*."""
    taken = 0
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        while not enough.is_set():
            text = [
                f"{numbered(SHIPPER, number, 0)}{draw.randbytes(1500).hex()}".encode()
                for number in range(taken, taken + PUSH_LINES)
            ]
            labels = f'{{namespace="batch", pod="{SHIPPER}", container="app", job="mine"}}'
            body = snappy(stream(labels, *text, at=time.time_ns()))
            while True:
                try:
                    async with session.post(f"{url}/loki/api/v1/push", data=body) as answer:
                        bill.statuses[answer.status] = bill.statuses.get(answer.status, 0) + 1
                        if answer.status == 204:
                            taken += PUSH_LINES
                            break
                except (aiohttp.ClientError, TimeoutError, OSError):
                    pass
                # Retry-After, as patiently as this test has time for.
                await asyncio.sleep(0.2)
    return taken


async def generate(logs: Path, absence: Absence) -> dict[str, int]:
    """Write lines faster than anybody keeps them, and return how many there are of each container."""
    process = await asyncio.create_subprocess_exec(
        *(*GENERATOR, "--folder", str(logs), "--namespace", "meanwhile", "--containers", "4", "--line-bytes", "500"),
        *("--rate", str(absence.rate), "--seconds", str(absence.seconds)),
        *("--max-bytes", str(2 * MIB), "--max-files", "3"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    written: dict[str, int] = json.loads(out)
    return written


async def shows_that_an_absence_costs_what_was_meant(folder: Path, absence: Absence) -> None:
    port, draw, enough = free_port(), random.Random(7), asyncio.Event()
    options = ("--gateway", f"127.0.0.1:{port}", "--gateway-spool-bytes", str(absence.spool_bytes))
    async with watched(folder, "--profile", "standalone", *options) as it:
        await make_pod(it.control, SHIPPER)
        await until(lambda: it.pods_seen() == 1, 20, it.pods_seen)
        bill = Bill(idle=peak_bytes(it.agent.pid))
        if absence.is_ill:
            it.loki.faults.answer(500, 1_000_000)
        else:
            await it.loki.down()
        gate, short = asyncio.Semaphore(absence.at_once), dict[str, int]()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look(it, bill))
            pushing = group.create_task(push(f"http://127.0.0.1:{port}", bill, draw, enough))
            writing = group.create_task(generate(it.logs, absence))
            pods = [
                group.create_task(live_shortly(it, gate, f"report-{number:05d}-x1", short))
                for number in range(absence.pods)
            ]
            lives = [kill(it.agent, draw, enough, most_seconds=absence.life_seconds)] if absence.life_seconds else []
            killing = [group.create_task(each) for each in lives]
            await asyncio.gather(writing, *pods)
            await until(lambda: 429 in bill.statuses, 60, lambda: bill)
            enough.set()
            await asyncio.gather(*killing)
            it.loki.faults.clear()
            if not absence.is_ill:
                await it.loki.up()
            pushed = await pushing
            looking.cancel()

        written = {**writing.result(), SHIPPER: pushed}
        await until_told(it, short, 60)
        await until_nothing_is_left(
            lambda: uncovered(written, it.loki.entries(), it.gaps()), lambda: len(it.loki.entries()), 60
        )
        bill.memory = max(bill.memory, peak_bytes(it.agent.pid))
        _log.info("absence.cost", **asdict(bill), gaps=len(it.gaps()), lines=len(it.loki.entries()))
        assert it.loki.loki.forgotten == 0
        assert bill.memory < MEMORY_BYTES
        assert bill.data < absence.spool_bytes + STATE_BYTES
        assert bill.held < HELD_BYTES
        assert uncovered({SHIPPER: pushed}, it.loki.entries(), []) == []


@pytest.mark.timeout(180)
async def test_a_loki_that_is_away_while_everything_goes_on_costs_the_node_what_was_meant(tmp_path: Path) -> None:
    absence = Absence(seconds=4.0, spool_bytes=2 * MIB, pods=60, at_once=30, rate=10_000)
    await shows_that_an_absence_costs_what_was_meant(tmp_path, absence)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_loki_that_is_away_for_minutes_costs_the_node_what_was_meant(tmp_path: Path) -> None:
    absence = Absence(seconds=240.0, spool_bytes=32 * MIB, pods=6000, at_once=100, rate=4_000)
    await shows_that_an_absence_costs_what_was_meant(tmp_path, absence)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_killed_again_and_again_while_loki_is_ill_for_minutes_nothing_is_lost_untold(tmp_path: Path) -> None:
    absence = Absence(
        seconds=180.0, spool_bytes=16 * MIB, pods=1500, at_once=30, rate=4_000, is_ill=True, life_seconds=20.0
    )
    await shows_that_an_absence_costs_what_was_meant(tmp_path, absence)
