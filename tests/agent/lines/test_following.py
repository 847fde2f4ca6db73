"""Lines as they come: through rotations and restarts, from pods that go, for askers who are slow."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator

import pytest

from agent.errors import Undecodable
from agent.lines import answering, following
from agent.lines.answering import Backlog
from kubescribe.wire.link import Line, LinePod, Lines
from simulator.logs.rotating import Rotation
from simulator.logs.writer import ContainerLog, LogOf
from tests.agent.lines.conftest import UID, Node


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(following, "_LINGER_SECONDS", 0.05)


async def until(answer: AsyncIterator[Lines], text: str) -> list[str]:
    """Return the texts up to the one that is *text*."""
    found: list[str] = []
    async with asyncio.timeout(10):
        async for payload in answer:
            found += [line.text for line in payload.lines]
            if text in found:
                return found
    raise AssertionError(f"ended with {found[-5:]}")


async def live(answer: AsyncIterator[Lines]) -> list[str]:
    """Return what there was before the live lines begin."""
    found: list[str] = []
    async for payload in answer:
        if payload.live:
            return found
        found += [line.text for line in payload.lines]
    raise AssertionError


async def test_the_newest_lines_go_over_into_what_comes_without_a_hole_or_a_repeat(node: Node) -> None:
    app = node.container()
    app.fill(0, 10)
    app.write(10, "begun ", tag="P")
    answer = node.payloads(limit=3, follow=True)

    assert await live(answer) == ["line 8", "line 9", "begun "]
    app.write(11, "and ended")
    app.write(12, "next")
    assert await until(answer, "next") == ["begun and ended", "next"]
    await answer.aclose()


async def test_it_goes_on_through_rotations_and_restarts(node: Node) -> None:
    app = node.container()
    app.write(0, "first")
    answer = node.payloads(limit=0, follow=True)
    assert await live(answer) == []

    for round_ in range(1, 6):
        app.fill(round_ * 100, 50, f"round {round_}:")
        app.rotate()
    app.fill(1000, 1, "last of 0:")
    app.write(1001, "cut", tag="P")
    app.start_again()
    app.fill(2000, 2, "of 1:")

    expected = [f"round {r}: {n}" for r in range(1, 6) for n in range(r * 100, r * 100 + 50)]
    assert await until(answer, "of 1: 2001") == [*expected, "last of 0: 1000", "cut", "of 1: 2000", "of 1: 2001"]
    await answer.aclose()


async def test_new_containers_join_and_filters_hold(node: Node) -> None:
    app = node.container()
    app.write(0, "ERROR old")
    answer = node.payloads(limit=10, follow=True, levels=("error",))
    assert await live(answer) == ["ERROR old"]

    sidecar = node.container(name="sidecar")
    sidecar.write(1, "INFO of no interest")
    sidecar.write(2, "ERROR password=hunter2")

    assert await until(answer, "ERROR password=[scrubbed secret]") == ["ERROR password=[scrubbed secret]"]
    await answer.aclose()


async def test_it_ends_with_the_last_line_of_the_last_pod(node: Node) -> None:
    app = node.container()
    app.write(0, "old")
    answer = node.payloads(limit=0, follow=True)
    await live(answer)

    app.write(1, "last words")
    shutil.rmtree(app.folder.parent)

    async with asyncio.timeout(10):
        assert [line.text async for payload in answer for line in payload.lines] == ["last words"]


async def test_a_flood_is_not_caught_up_with_but_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_MAX_BEHIND_BYTES", 100_000)
    monkeypatch.setattr(following, "_KEPT_BYTES", 10_000)
    monkeypatch.setattr(following, "_READ_BYTES", 1_000)
    app = node.container()
    app.fill(0, 1)
    answer = node.payloads(limit=0, follow=True)
    await live(answer)

    app.fill(1, 5_000)
    found: list[str] = []
    dropped = 0
    async with asyncio.timeout(10):
        while "line 5000" not in found:
            payload = await anext(answer)
            found += [line.text for line in payload.lines]
            dropped += payload.dropped
    await answer.aclose()

    assert dropped + len(found) == 5_000
    assert found == [f"line {n}" for n in range(5_001 - len(found), 5_001)]
    assert len(found) < 500


def test_a_slow_asker_loses_the_oldest_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "_MAX_BACKLOG_LINES", 100)
    backlog = Backlog()
    backlog.add([Line(pod=0, container="app", at=n, text=f"line {n}") for n in range(1_000)])
    backlog.add([Line(pod=0, container="app", at=1_000, text="line 1000")])

    taken = list(backlog.take())

    assert [payload.dropped for payload in taken] == [901]
    assert [line.text for line in taken[0].lines] == [f"line {n}" for n in range(901, 1_001)]
    assert not backlog.has_lines


async def test_no_line_is_lost_or_told_twice_while_a_container_writes_rotates_and_restarts(node: Node) -> None:
    log = ContainerLog(
        node.folder, LogOf(namespace="shop", pod="busy-1", uid=UID, container="app"), rotation=Rotation(max_files=4)
    )
    node.pods.append(LinePod(namespace="shop", name="busy-1", uid=UID))
    log.write(["begin"])
    answer = node.payloads(limit=0, follow=True)
    await live(answer)

    def write() -> None:
        for part in range(40):
            numbers = range(part * 50, part * 50 + 50)
            if part % 4 == 1:
                log.rotate(lambda numbers=numbers: log.write([f"n={n}" for n in numbers]) and None)
            else:
                log.write([f"n={n}" for n in numbers], "stderr" if part % 3 else "stdout")
            if part % 10 == 9:
                log.restart()
            time.sleep(0.02)  # a container takes its time, too
        log.write(["end"])
        log.close()

    writing = asyncio.create_task(asyncio.to_thread(write))
    found = await until(answer, "end")
    await writing
    await answer.aclose()

    assert sorted(found[:-1], key=lambda text: int(text[2:])) == [f"n={n}" for n in range(2_000)]


async def test_only_so_many_follow_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_FOLLOWING", 1)
    node.container().write(0, "x")
    first = node.payloads(limit=0, follow=True)
    await live(first)

    with pytest.raises(Undecodable, match="follow lines of this node already"):
        await node.ask(follow=True)
    await first.aclose()

    second = node.payloads(limit=0, follow=True)
    assert await live(second) == []
    await second.aclose()
