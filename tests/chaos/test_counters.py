"""Counters are exact whatever is killed: held against what the pretend cluster's own pods, and its writers, say."""

import asyncio
import json
import urllib.request
from collections import Counter

import pytest

from simulator.logs.rotating import Rotation
from simulator.logs.writer import ContainerLog, LogOf
from simulator.loki.app import running_loki
from simulator.loki.limits import unlimited
from tests.chaos.conftest import eventually
from tests.chaos.test_kill import kill_again_and_again


def restarts_of_the_cluster(it) -> int:
    """Return how often containers were started again, as the API server's pods say."""
    request = urllib.request.Request(
        it.cluster.url + "/api/v1/pods", headers={"Authorization": f"Bearer {it.cluster.token}"}
    )
    with urllib.request.urlopen(request) as answer:
        pods = json.load(answer)["items"]
    return sum(status["restartCount"] for pod in pods for status in pod["status"].get("containerStatuses", ()))


def counted(it, family: str) -> int:
    ((value,),) = it.ask(f"SELECT coalesce(sum(value), 0) FROM counters WHERE family = '{family}'")
    return value


LEVELS = ("info", "info", "info", "warning", "error", "")


async def write_lines(logs: list[ContainerLog], written: Counter[tuple[str, str]], enough: asyncio.Event) -> None:
    """Write some hundred lines a second, rotated now and then, until it is *enough*."""
    turn = 0
    while not enough.is_set():
        for log in logs:
            levels = [LEVELS[(turn + number) % len(LEVELS)] for number in range(10)]
            log.write([f"{level.upper()} {turn} is what it is" for level in levels])
            written.update((log.of.namespace, level or "unknown") for level in levels)
            if turn % 20 == 19:
                log.rotate()
        turn += 1
        await asyncio.sleep(0.1)


def lines_counted(it) -> dict[tuple[str, str], int]:
    rows = it.ask("SELECT labels, value FROM counters WHERE family = 'log_lines_total'")
    return {(labels[0], labels[-1]): value for text, value in rows if (labels := json.loads(text)) and value}


@pytest.mark.timeout(180)
async def test_restarts_and_lines_are_counted_exactly_whatever_is_killed(rig, tmp_path):
    folder = tmp_path / "pods"
    folder.mkdir()
    kept = Rotation(max_files=1000)
    pods = [LogOf(namespace=f"team-{name}", pod=f"web-{name}", uid=f"u{name}", container="app") for name in "ab"]
    logs = [ContainerLog(folder, pod, rotation=kept) for pod in pods]
    written: Counter[tuple[str, str]] = Counter()
    async with running_loki(unlimited()) as loki:
        options = ("--profile", "standalone", "--usage-interval", "30s", "--logs", str(folder), "--loki", loki.url)
        counting = ("--logs-hold", "0s", "--logs-count-interval", "0.2s")
        cluster = ("--quiet", "--pods", "40", "--nodes", "3", "--window-events", "200000")
        async with rig(*cluster, agent_options=(*options, *counting)) as it:
            await it.control.load(changes=40)
            await it.until_synced()
            was, had = restarts_of_the_cluster(it), counted(it, "container_restarts_total")

            enough = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(write_lines(logs, written, enough))
                await eventually(lambda: len(lines_counted(it)) == 8, 20, lambda: f"{lines_counted(it)}")
                await it.control.load(300)
                await kill_again_and_again(it, seed=5, rounds=2)
                await it.control.load(0)
                enough.set()
            await it.until_synced()

            happened = restarts_of_the_cluster(it) - was
            assert happened > 50
            assert counted(it, "container_restarts_total") - had == happened
            assert counted(it, "container_terminations_total") == counted(it, "container_restarts_total")
            await eventually(
                lambda: lines_counted(it) == written, 30, lambda: f"{lines_counted(it)} counted, {written} written"
            )
            assert sum(written.values()) > 200
            await it.agent.terminate()
            assert lines_counted(it) == written
