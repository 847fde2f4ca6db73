"""
Every line once: numbered lines are written, rotated and compressed while the shipper is killed and Loki misbehaves.

What is missing in the end must be none, or a Gap must cover the time between the lines beside it; what Loki holds twice
after its own de-duplication must be none. The moments are drawn from a seed. The long forms are soaks.
"""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks import daemons
from benchmarks.memory import peak_bytes
from simulator.logs.sequence import Account
from simulator.loki.app import RunningLoki, running_loki
from simulator.loki.limits import Limits, unlimited
from tests.chaos.badday import bad_day
from tests.chaos.covering import uncovered
from tests.chaos.watched import (
    LINES_OF_A_POD,
    assert_named,
    free_port,
    live_shortly,
    make_pod,
    push_until_taken,
    until,
    until_nothing_is_left,
    until_told,
    watched,
)

SHIPPER = (sys.executable, "-m", "tests.chaos.shipper")
GENERATOR = (sys.executable, "-m", "simulator.logs.generate")
MIB = 2**20
MEMORY_BYTES = 48 * MIB
"""What may be on its way (16 MiB) as text, encoded and compressed; not what waits in the files."""

LONG_EVERY = 397
"""So many lines there is one of 40 KB, which the runtime writes in parts."""

STARTS = 4
"""The first, one with the gateway, and one after each of two kills while shippers push."""

Options = tuple[str, ...]


@dataclass
class Node:
    """A folder of logs, who ships it, and the Loki it goes to."""

    logs: Path
    loki: RunningLoki
    shipper: daemons.Daemon
    written: dict[str, int] = field(default_factory=dict)
    query: str = ""
    """Which lines count; "" for all."""

    def gaps(self) -> list[dict[str, Any]]:
        """Return the Gaps that were told, each as it was told last."""
        try:
            lines = (self.shipper.folder / "data" / "gaps.ndjson").read_text().splitlines()
        except FileNotFoundError:
            return []
        return list({gap["id"]: gap for line in lines if line.endswith("}") and (gap := json.loads(line))}.values())

    def uncovered(self) -> list[str]:
        """Return what is missing without a Gap."""
        assert not self.loki.loki.forgotten, "more than the pretend Loki keeps"
        return uncovered(self.written, self.loki.entries(self.query), self.gaps())

    def account(self) -> Account:
        """Return which of the numbered lines Loki would show."""
        account = Account()
        account.add(entry.line for entry in self.loki.entries(self.query))
        return account

    async def generated(self, *options: str) -> dict[str, int]:
        """Write lines as a process, as asked, and return how many there are of each container."""
        process = await asyncio.create_subprocess_exec(
            *GENERATOR, "--folder", str(self.logs), *options, stdout=asyncio.subprocess.PIPE
        )
        try:
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        written: dict[str, int] = json.loads(out)
        self.written.update(written)
        return written

    async def until_whole(self, seconds: float) -> None:
        """Wait until everything written is in Loki, or is missing and a Gap says so; *seconds* without anything new."""
        await until_nothing_is_left(self.uncovered, lambda: len(self.loki.entries(self.query)), seconds)


@asynccontextmanager
async def node_in(folder: Path, limits: Limits) -> AsyncIterator[Node]:
    logs = folder / "pods"
    logs.mkdir()
    async with running_loki(limits) as loki:
        shipper = daemons.Daemon(
            "shipper",
            folder / "shipper",
            ["--logs", str(logs), "--data", str(folder / "shipper" / "data"), "--loki", loki.url],
            ready="shipper.running",
            command=SHIPPER,
        )
        async with daemons.running(shipper):
            yield Node(logs, loki, shipper)


async def written_on_a_bad_day(node: Node, draw: random.Random, *, seconds: float, rate: int, options: Options) -> None:
    """Write numbered lines while the shipper is killed and Loki misbehaves, and wait until all is well again."""
    await node.shipper.start()
    async with bad_day(node.loki, node.shipper, draw):
        await node.generated(
            *("--containers", "4", "--rate", str(rate), "--seconds", str(seconds), "--rotate-every", "1"),
            *("--long-every", str(LONG_EVERY), *options),
        )
    await node.until_whole(60)
    assert node.account().repeats == 0
    assert sum(node.written.values()) >= 0.5 * seconds * rate
    assert node.shipper.starts > seconds / 4


async def shows_every_line_once(folder: Path, *, seed: int, seconds: float, rate: int) -> None:
    """Nothing is rotated away unread here, and this Loki refuses the lines of 40 KB: those miss and no others."""
    async with node_in(folder, replace(unlimited(), max_line_bytes=30_000)) as node:
        await written_on_a_bad_day(
            node, random.Random(seed), seconds=seconds, rate=rate, options=("--max-files", "1000")
        )

        long = {name: list(range(LONG_EVERY - 1, count, LONG_EVERY)) for name, count in node.written.items()}
        assert node.account().missing(node.written) == {name: numbers for name, numbers in long.items() if numbers}
        assert {gap["cause"] for gap in node.gaps()} == {"logRefused"}


async def shows_that_what_is_lost_is_told(folder: Path, *, seed: int, seconds: float, rate: int) -> None:
    """The kubelet keeps little here, and containers are restarted: what is deleted unread is a Gap."""
    async with node_in(folder, unlimited()) as node:
        await written_on_a_bad_day(
            node,
            random.Random(seed),
            seconds=seconds,
            rate=rate,
            options=("--max-files", "2", "--restart-every", "1.3"),
        )

        assert node.uncovered() == []
        assert {gap["cause"] for gap in node.gaps()} <= {"logRotated", "logDeleted"}


@pytest.mark.timeout(180)
async def test_killed_again_and_again_before_a_bad_loki_every_line_arrives_once(tmp_path: Path) -> None:
    await shows_every_line_once(tmp_path, seed=1, seconds=4.0, rate=1500)


@pytest.mark.timeout(180)
async def test_what_the_kubelet_deletes_unread_meanwhile_is_a_gap(tmp_path: Path) -> None:
    await shows_that_what_is_lost_is_told(tmp_path, seed=2, seconds=4.0, rate=1500)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(200, 205))
async def test_killed_for_minutes_before_a_bad_loki_every_line_arrives_once(tmp_path: Path, seed: int) -> None:
    await shows_every_line_once(tmp_path, seed=seed, seconds=120.0, rate=3000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(300, 305))
async def test_what_is_deleted_unread_for_minutes_is_told(tmp_path: Path, seed: int) -> None:
    await shows_that_what_is_lost_is_told(tmp_path, seed=seed, seconds=120.0, rate=3000)


async def shows_that_an_absence_costs_no_memory(folder: Path, *, lines: int) -> None:
    async with node_in(folder, unlimited()) as node:
        await node.shipper.start()
        await node.generated("--containers", "4", "--lines", "500", "--namespace", "before")
        await node.until_whole(20)
        before = peak_bytes(node.shipper.pid)
        await node.loki.down()
        node.written.clear()
        node.query = '{namespace="meanwhile"}'

        await node.generated(
            *("--containers", "4", "--lines", str(lines), "--rate", "0", "--line-bytes", "200"),
            *("--max-bytes", str(2 * MIB), "--max-files", "3", "--namespace", "meanwhile"),
        )
        await until(lambda: "loki.went_away" in node.shipper.output.read_text(), 20, node.gaps)
        await node.loki.up()

        await node.until_whole(60)
        assert node.account().repeats == 0
        assert peak_bytes(node.shipper.pid) - before < MEMORY_BYTES
        assert sum(file.stat().st_size for file in (node.shipper.folder / "data").iterdir()) < MIB


@pytest.mark.timeout(180)
async def test_a_loki_that_is_away_costs_the_node_no_memory_and_no_disk(tmp_path: Path) -> None:
    await shows_that_an_absence_costs_no_memory(tmp_path, lines=8_000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_loki_that_is_away_for_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    await shows_that_an_absence_costs_no_memory(tmp_path, lines=1_000_000)


async def shows_that_short_pods_keep_their_labels(folder: Path, *, pods: int, at_once: int) -> None:
    names = [f"report-{number:05d}-x{number % 7}" for number in range(pods)]
    async with watched(folder, "--profile", "standalone", "--logs-pod-labels", "team") as it:
        gate, written = asyncio.Semaphore(at_once), dict[str, int]()
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(live_shortly(it, gate, name, written))

        await until_told(it, written, 60)
        assert len(written) == pods
        # To tell of everything as lost would be no art.
        assert len(it.loki.entries()) >= 0.9 * LINES_OF_A_POD * pods
        assert_named(it.loki)


@pytest.mark.timeout(180)
async def test_pods_that_live_for_two_seconds_keep_their_labels(tmp_path: Path) -> None:
    await shows_that_short_pods_keep_their_labels(tmp_path, pods=300, at_once=300)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_ten_thousand_pods_that_live_for_two_seconds_keep_their_labels(tmp_path: Path) -> None:
    await shows_that_short_pods_keep_their_labels(tmp_path, pods=10_000, at_once=400)


async def shows_that_a_gateway_loses_nothing(folder: Path, *, seed: int, pushes: int) -> None:
    draw, pods, port = random.Random(seed), [f"report-0000{number}-x" for number in range(3)], free_port()
    url = f"http://127.0.0.1:{port}"
    async with watched(folder) as it, aiohttp.ClientSession() as session:
        for pod in pods[:-1]:
            await make_pod(it.control, pod)
        await until(lambda: it.pods_seen() == 2, 20, it.pods_seen)
        # The gateway is switched on: it has to know the pods that the watch has seen long ago.
        await it.agent.kill()
        it.agent.options += ["--gateway", f"127.0.0.1:{port}", "--logs-pod-labels", "team"]
        await it.agent.start()
        # The shipper's first line of a pod may come before the agent has seen it: that it waits is not promised.
        await make_pod(it.control, pods[-1])
        await until(lambda: it.pods_seen() == 3, 20, it.pods_seen)
        written = dict.fromkeys(pods, 0)

        async def ship(pod: str) -> None:
            while written[pod] < 10 * pushes or it.agent.starts < STARTS:
                await push_until_taken(session, url, pod, range(written[pod], written[pod] + 10))
                written[pod] += 10
                await asyncio.sleep(0.02)

        async with bad_day(it.loki, it.agent, draw, most_seconds=2.5):
            await asyncio.gather(*map(ship, pods))

        await until_nothing_is_left(
            lambda: max(0, sum(written.values()) - len(it.loki.entries())), lambda: len(it.loki.entries()), 60
        )
        account = Account()
        account.add(entry.line for entry in it.loki.entries())
        assert account.missing(written) == {}
        assert account.repeats == 0
        assert_named(it.loki)
        assert {dict(each.labels)["job"] for each in it.loki.streams()} == {"mine"}


@pytest.mark.timeout(180)
async def test_a_gateway_killed_again_and_again_before_a_bad_loki_loses_no_line_that_it_took(tmp_path: Path) -> None:
    await shows_that_a_gateway_loses_nothing(tmp_path, seed=4, pushes=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(400, 405))
async def test_a_gateway_killed_for_minutes_loses_no_line_that_it_took(tmp_path: Path, seed: int) -> None:
    await shows_that_a_gateway_loses_nothing(tmp_path, seed=seed, pushes=3000)
