"""What real nodes do now and then: clocks that leap, counts that begin anew, links, states of other versions."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

from kubescribe.runtime.linefile import LineFile
from simulator.logs.records import Clock
from simulator.logs.rotating import STAMP

SECOND = 10**9


async def test_an_instance_whose_number_comes_again_is_read_for_as_long_as_it_writes(node, eventually):
    log = node.container()
    log.write(["zero"])
    async with node.tailing() as tailer:
        log.restart(1)
        log.write(["one"])
        await eventually(lambda: len(node.lines()) == 2)
        await eventually(lambda: len(tailer.tails) == 1)
        for old in log.path.parent.glob("0.log*"):
            old.unlink()
        await eventually(lambda: set(tailer._roster.restarts.values()) == {frozenset({1})})
        log.restart(0)
        log.write(["zero again"])
        await eventually(lambda: len(node.lines()) == 3)
        # The other one has ended, by now.
        await eventually(lambda: [it.restart for it in tailer.tails] == [0])
        log.write(["and more"])
        await eventually(lambda: len(node.lines()) == 4)

    assert sorted(node.lines()) == ["and more", "one", "zero", "zero again"]
    assert node.gaps == []


class Clocked:
    """A log in which the clock, and its zone, are set by hand."""

    def __init__(self, log) -> None:
        self.log = log
        self.now = time.time_ns() - 3 * 3600 * SECOND
        self.zone_seconds = 0
        self.set(0)

    def set(self, by_seconds: int) -> None:
        self.now += by_seconds * SECOND
        self.log._clock = Clock(lambda: self.now)

    def write(self, line: str) -> None:
        self.now += SECOND
        self.log.write([line])

    def rotate(self) -> None:
        self.now += SECOND
        local = datetime.fromtimestamp(self.now / SECOND + self.zone_seconds, tz=UTC)
        self.log.path.rename(self.log.path.with_name(f"{self.log.path.name}.{local.strftime(STAMP)}"))
        self.log.close()
        self.log.open()


@pytest.mark.parametrize("leap", [-1800, 1800], ids=["back", "forward"])
async def test_lines_arrive_once_although_the_clock_leaps_while_the_agent_runs(node, eventually, leap):
    clocked = Clocked(node.container())
    async with node.tailing(backlog_seconds=86_400):
        for number in range(3):
            clocked.write(f"before {number}")
            clocked.rotate()
        clocked.set(leap)
        for number in range(3):
            clocked.write(f"after {number}")
            await eventually(lambda count=number: len(node.lines()) == 4 + count)
            clocked.rotate()

    assert len(node.loki.loki.arrived()) == len(set(node.lines())) == 6
    assert node.gaps == []


async def test_an_hour_that_comes_again_in_local_time_changes_no_order(node, eventually):
    clocked = Clocked(node.container())
    clocked.write("0")
    async with node.tailing(backlog_seconds=86_400):
        await eventually(lambda: node.lines() == ["0"])
    clocked.write("1")
    clocked.rotate()
    clocked.zone_seconds = -3600
    for number in range(2, 5):
        clocked.write(str(number))
        clocked.rotate()
    clocked.write("5")

    for _ in range(2):
        async with node.tailing(backlog_seconds=86_400) as tailer:
            await eventually(lambda: len(node.lines()) == 6)
            await eventually(lambda tailer=tailer: all(tail.look.is_whole for tail in tailer.tails.values()))

    assert node.lines() == [str(number) for number in range(6)]
    assert len(node.loki.loki.arrived()) == 6
    assert node.gaps == []


async def test_a_clock_that_was_set_back_while_the_agent_was_away_loses_nothing_silently(node, eventually):
    clocked = Clocked(node.container())
    clocked.write("0")
    async with node.tailing(backlog_seconds=86_400):
        await eventually(lambda: node.lines() == ["0"])
    clocked.write("1")
    clocked.rotate()
    clocked.set(-1800)
    clocked.write("2")
    clocked.rotate()
    clocked.write("3")

    async with node.tailing(backlog_seconds=86_400):
        await eventually(lambda: {"0", "1", "3"} <= set(node.lines()))
        await eventually(lambda: node.gaps or "2" in node.lines())

    (gap,) = node.gaps
    assert (gap.cause, gap.detail) == ("logRotated", "the clock was set back")
    assert gap.start <= clocked.now - 2 * SECOND <= gap.to


async def test_what_was_missed_is_told_also_by_an_agent_that_is_just_being_stopped(node, eventually):
    keep, told = node.report, asyncio.Event()

    async def report(gaps) -> None:
        if not told.is_set():
            # A disk that takes for ever.
            told.set()
            await asyncio.Event().wait()
        await keep(gaps)

    node.report = report
    async with node.tailing() as tailer:
        await eventually(lambda: tailer.finder and tailer.finder._discovery.is_told)
        log = node.container()
        log.write(["lost"])
        log.remove()
        await told.wait()

    assert [(gap.stream, gap.cause) for gap in node.gaps] == [("logs/shop/web-0/*", "logDeleted")]


async def test_a_state_of_an_older_version_is_gone_on_with(node, eventually):
    log = node.container()
    log.write(["0"])
    async with node.tailing():
        await eventually(node.lines)
    # As it was before lines were counted, and with something that only a younger version knows.
    lines = LineFile(node.settings.state)
    older = []
    for line in lines.read():
        saved = {key: value for key, value in json.loads(line).items() if key not in ("source", "lines", "pending")}
        older.append(json.dumps({**saved, "unknown": 1}).encode())
    lines.rewrite(older)
    log.write(["1"])
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 2)

    assert len(node.loki.loki.arrived()) == 2


async def test_a_state_that_cannot_be_written_at_the_start_is_gone_on_with(node, eventually):
    log = node.container()
    log.write(["0"])
    async with node.tailing():
        await eventually(node.lines)
    log.write(["1"])
    # As a full disk does; root may write to what is read-only.
    (draft := node.settings.state.with_suffix(".draft")).mkdir()
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 2)
    draft.rmdir()
    log.write(["2"])
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 3)

    assert len(node.loki.loki.arrived()) == 3
