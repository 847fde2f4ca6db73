"""
Kill -9 of an aggregator whose disk is full: what its agents spooled arrives when there is room again, once.

While no commit succeeds the aggregator has batches in its memory only. If it acknowledged one of them before the
commit, the agent would forget it and the kill would take the last copy: here "acknowledge after commit" shows.
"""

import asyncio
import json
import random
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.daemons import Daemon, DaemonFailed
from tests.chaos.conftest import eventually, metric
from tests.e2e.processes import small_disk

RATE = 300
QUIET = ("--nodes", "3", "--pods", "40", "--quiet", "--window-events", "200")
"""The API server offers little of what was: nothing that was lost on the way can come from there again."""


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 512):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


def unready(aggregator: Daemon) -> str:
    """Return why the aggregator is not ready, "" when it is."""
    try:
        with urllib.request.urlopen(aggregator.said["metrics"] + "/readyz") as answer:
            return str(json.load(answer).get("reason", ""))
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error).get("reason", ""))


def spooled(agent: Daemon) -> float:
    """Return how many records the agent keeps, since nobody acknowledged them."""
    return metric(agent, "kubescribe_spool_records")


@pytest.mark.timeout(120)
async def test_killing_an_aggregator_whose_disk_is_full_loses_nothing_and_repeats_nothing(rig, tmp_path):
    with small_disk(tmp_path / "aggregator" / "data", "24m") as disk:
        async with rig(*QUIET) as it:
            await it.control.load(RATE)
            await asyncio.sleep(1)
            for _ in range(2):
                filler = fill(disk)
                await eventually(lambda: "cannot be written" in unready(it.aggregator), 30, lambda: "still ready")
                kept = spooled(it.agent)
                await eventually(lambda kept=kept: spooled(it.agent) > kept + RATE, 30, lambda: "nothing is spooled")

                await it.aggregator.kill()
                with suppress(DaemonFailed):  # it may be told at once that there is no room: that is tried in e2e
                    await it.aggregator.start()
                    await it.aggregator.kill()
                filler.unlink()
                await it.aggregator.start()
                await eventually(lambda: spooled(it.agent) < RATE, 30, lambda: "what was spooled stays there")
            await it.control.load(0)

            finding = await it.judged()

            assert finding.problems == []
            assert finding.judged > 4 * RATE
            assert {gap["cause"] for gap in it.gaps()} <= {"agent_absent"}


def witness(number: int, said: str) -> dict:
    """Return a ConfigMap whose version fills a segment of the spool: it is forgotten as soon as it is acknowledged."""
    draw = random.Random(f"{number} {said}")
    data = {f"key-{at}": draw.randbytes(8).hex() for at in range(1500)}
    return {"metadata": {"namespace": "default", "name": f"witness-{number}"}, "data": data | {"said": said}}


@pytest.mark.timeout(120)
async def test_a_batch_whose_commit_failed_is_still_the_agents_when_the_aggregator_dies(rig, tmp_path):
    smallest_spool = ("--spool-max-bytes", "256KiB")
    with small_disk(tmp_path / "aggregator" / "data", "24m") as disk:
        async with rig(*QUIET, agent_options=smallest_spool) as it:
            for first in (0, 100):
                filler = fill(disk)
                for number in range(first, first + 100):  # pages that are free again may take the first ones
                    made = await it.control.create("configmaps", witness(number, "first"))
                    version = int(made["metadata"]["resourceVersion"])
                    await eventually(
                        lambda version=version: unready(it.aggregator) or it.has(version), 30, lambda: "not decided"
                    )
                    if unready(it.aggregator):
                        break
                else:
                    pytest.fail("the disk is never full")

                await it.aggregator.kill()
                await it.control.update("configmaps", witness(number, "second"))
                filler.unlink()
                await it.aggregator.start()

            finding = await it.judged()

            assert finding.problems == []
            assert {gap["cause"] for gap in it.gaps()} <= {"agent_absent"}
