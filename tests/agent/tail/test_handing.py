"""Lines are counted by workload and level when they are dealt with, each of them once, whatever dies meanwhile."""

import pytest

from simulator.loki.limits import Limits

ERRORS, INFOS = ("shop", "web", "error"), ("shop", "web", "info")


def texts(first: int, last: int) -> list[str]:
    return [f"{'ERROR' if number % 5 == 0 else 'INFO'} {number}" for number in range(first, last)]


async def test_lines_are_counted_by_workload_and_level(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(["INFO a", "ERROR b", "ERROR c", "d"])

        await eventually(lambda: node.total() == {INFOS: 1, ERRORS: 2, ("shop", "web", ""): 1})
        log.write(["ERROR e"])
        await eventually(lambda: node.total()[ERRORS] == 3)

    assert [record.n for record in node.counts.values()] == list(range(1, len(node.counts) + 1))


async def test_lines_that_loki_does_not_have_are_not_counted_yet(node, eventually):
    node.loki.faults.answer(503, 100_000)
    log = node.container()
    async with node.tailing(stop_seconds=0.0) as tailer:
        log.write(texts(0, 10))
        await eventually(lambda: tailer.counts.read_lines == 10)
    assert node.total() == {}

    node.loki.faults.clear()
    async with node.tailing():
        await eventually(lambda: node.total() == {ERRORS: 2, INFOS: 8})


async def test_lines_that_loki_will_never_take_are_counted(node, eventually):
    node.loki.loki.limits = Limits(max_line_bytes=50)
    log = node.container()
    async with node.tailing():
        log.write(["INFO short", "ERROR " + "x" * 60])

        await eventually(lambda: node.total() == {ERRORS: 1, INFOS: 1})
    assert len(node.lines()) == 1


async def test_what_nobody_takes_yet_waits_across_restarts(node, eventually):
    node.takes_counts = False
    log = node.container()
    async with node.tailing():
        log.write(texts(0, 10))
        await eventually(lambda: len(node.lines()) == 10)
    async with node.tailing():
        log.write(texts(10, 20))
        await eventually(lambda: len(node.lines()) == 20)
    assert node.total() == {}

    node.takes_counts = True
    async with node.tailing():
        await eventually(lambda: node.total() == {ERRORS: 4, INFOS: 16})


@pytest.mark.parametrize("seconds", [0.05, 0.09, 0.13])
async def test_an_agent_that_dies_again_and_again_counts_every_line_once(node, eventually, seconds):
    log = node.container()
    for life in range(6):
        log.write(texts(life * 100, life * 100 + 100))
        await node.crashing(seconds=seconds)
    async with node.tailing():
        log.write(texts(600, 700))

        await eventually(lambda: sum(node.total().values()) >= 700)
        await eventually(lambda: len(node.lines()) >= 700)

    assert node.total() == {ERRORS: 140, INFOS: 560}


async def test_a_container_that_is_gone_was_counted_to_its_end(node, eventually):
    node.takes_counts = False
    log = node.container()
    async with node.tailing():
        log.write(texts(0, 10))
        await eventually(lambda: len(node.lines()) == 10)
        log.remove()
        await eventually(lambda: not node.tailer.tails)
    node.takes_counts = True
    async with node.tailing():
        await eventually(lambda: node.total() == {ERRORS: 2, INFOS: 8})
