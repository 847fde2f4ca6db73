"""What a Loki that is away costs of memory and open files when pods come and go meanwhile: as much as was meant."""

from contextlib import suppress
from pathlib import Path

import pytest

from kubescribe.wire.records import Gap
from simulator.logs.sequence import numbered
from simulator.logs.writer import ContainerLog

PODS = 30


def pods_of(lines: list[str]) -> set[str]:
    return {line.split(" ")[0].removeprefix("seq=") for line in lines}


def told(gaps: list[Gap]) -> set[str]:
    return {gap.stream.split("/")[2] for gap in gaps}


async def come_and_go(node, eventually, names: list[str]) -> None:
    """Be pods that write three lines each, and are deleted with their files once these were found."""
    logs: dict[str, ContainerLog] = {}
    for name in names:
        logs[name] = node.container(name)
        logs[name].write(numbered(name, number) for number in range(3))
    await eventually(lambda: {*names} <= {tail.instance.pod for tail in node.tailer.tails.values()})
    for log in logs.values():
        log.remove()


def open_files(folder: Path) -> list[str]:
    """Return the files below *folder* that this process has open, also those that are deleted."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(f"{folder}/") and ".log" in path]


@pytest.mark.parametrize("limit", ["held_files", "held_bytes"])
async def test_of_pods_that_are_gone_unread_the_oldest_are_let_go_and_told(node, eventually, limit):
    limits = {"held_files": 8} if limit == "held_files" else {"held_bytes": 8 * 3 * 150}
    names = [f"job-{number:02d}" for number in range(PODS)]
    node.loki.faults.answer(503, 100_000)
    async with node.tailing(stop_seconds=0.0, flying_bytes=1, **limits) as tailer:
        for start in range(0, PODS, 10):
            await come_and_go(node, eventually, names[start : start + 10])
        # One or two are on their way, and nothing else has room.
        await eventually(lambda: len(tailer.tails) <= 10)
        assert len(open_files(node.folder)) <= 10
        if limit == "held_files":
            assert names[-1] in {tail.instance.pod for tail in tailer.tails.values()}
        node.loki.faults.clear()
        await eventually(lambda: pods_of(node.lines()) | told(node.gaps) == {*names})
        await eventually(lambda: not tailer.tails)

    assert not pods_of(node.lines()) & told(node.gaps)
    assert len(node.lines()) == 3 * len(pods_of(node.lines())) > 0
    assert all(gap.bytes for gap in node.gaps)


async def test_what_is_on_its_way_of_a_pod_that_is_gone_keeps_no_file_open(node, eventually):
    names = [f"job-{number:02d}" for number in range(PODS)]
    node.loki.faults.answer(503, 100_000)
    async with node.tailing(stop_seconds=0.0) as tailer:
        await come_and_go(node, eventually, names)
        await eventually(lambda: all(tail.flights for tail in tailer.tails.values()))

        await eventually(lambda: not open_files(node.folder))
        assert len(tailer.tails) == PODS
        node.loki.faults.clear()
        await eventually(lambda: not tailer.tails)

    assert len(node.lines()) == 3 * PODS
    assert node.gaps == []


async def test_a_thousand_pods_of_a_line_each_are_not_on_their_way_at_once(node, eventually):
    names = [f"job-{number:02d}" for number in range(PODS)]
    node.loki.faults.answer(503, 100_000)
    async with node.tailing(stop_seconds=0.0, flying_bytes=128 * 1024) as tailer:
        await come_and_go(node, eventually, names)
        await eventually(lambda: sum(bool(tail.flights) for tail in tailer.tails.values()) >= 8)
        await eventually(lambda: len(node.loki.loki.requests) > 3)

        assert sum(bool(tail.flights) for tail in tailer.tails.values()) <= 9
        node.loki.faults.clear()
        await eventually(lambda: len(node.lines()) == 3 * PODS)


@pytest.mark.parametrize("away_seconds", [0.2, 60.0])
async def test_of_pods_that_are_gone_unread_half_as_many_wait_once_nothing_arrives(node, eventually, away_seconds):
    names = [f"job-{number:02d}" for number in range(PODS)]
    node.loki.faults.answer(503, 100_000)
    async with node.tailing(stop_seconds=0.0, flying_bytes=1, held_files=PODS, away_seconds=away_seconds):
        await come_and_go(node, eventually, names)
        await eventually(lambda: len(open_files(node.folder)) <= (PODS // 2 if away_seconds < 1 else PODS))
        await eventually(lambda: node.gaps or away_seconds > 1)

        assert len(node.gaps) == 0 if away_seconds > 1 else PODS // 2 - 4 < len(node.gaps) < PODS
