"""Lines that are asked for: which ones, in which order, through rotations and restarts, and what may be read."""

import asyncio
import time
from pathlib import Path

import pytest

from agent.errors import Undecodable
from agent.lines import answering, newest, reading
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import MAX_LINE_BYTES, LinePod
from tests.agent.lines.conftest import SECOND, START, UID, Node


async def test_lines_of_pods_and_containers_come_in_one_order_of_time(node: Node) -> None:
    app, proxy = node.container("a", "app"), node.container("a", "proxy")
    other = node.container("b", "app")
    app.write(1, "first")
    proxy.write(2, "second", stream="stderr")
    other.write(3, "third")
    app.write(4, "fourth")

    lines, missing = await node.ask()

    assert [(line.text, line.pod, line.container, line.stream) for line in lines] == [
        ("first", 0, "app", "stdout"),
        ("second", 0, "proxy", "stderr"),
        ("third", 1, "app", "stdout"),
        ("fourth", 0, "app", "stdout"),
    ]
    assert missing == []


async def test_the_newest_lines_are_given_through_every_generation(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 300)
    app = node.container()
    for part in range(4):
        app.fill(part * 20, 20)
        if part < 3:
            app.rotate()

    assert sorted(path.suffix for path in app.folder.iterdir()) == [".20260102-000003", ".gz", ".gz", ".log"]
    assert await node.texts(limit=80) == [f"line {n}" for n in range(80)]
    assert await node.texts(limit=3) == ["line 77", "line 78", "line 79"]
    assert await node.texts(limit=50, until=START + 70 * SECOND) == [f"line {n}" for n in range(20, 70)]
    assert await node.texts(since=START + 35 * SECOND, until=START + 45 * SECOND) == [
        f"line {n}" for n in range(35, 45)
    ]


async def test_only_what_is_needed_of_a_large_file_is_read(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    app = node.container()
    app.fill(0, 100_000, "x" * 60)
    read = []
    monkeypatch.setattr(reading.os, "pread", lambda *a, real=reading.os.pread: read.append(a[1]) or real(*a))

    assert len(await node.texts(limit=100)) == 100
    assert sum(read) < 1_000_000
    read.clear()
    middle = await node.texts(since=START + 50_000 * SECOND, until=START + 50_010 * SECOND)

    assert len(middle) == 10
    assert sum(read) < 6_000_000  # of 9.5 MB


async def test_instances_before_the_current_one_are_read_too_and_alone_when_asked_for(node: Node) -> None:
    app = node.container()
    for restart in range(3):
        app.write(restart * 10, f"start {restart}")
        app.write(restart * 10 + 1, f"last words of {restart}", tag="P" if restart < 2 else "F")
        app.start_again()

    lines, _ = await node.ask()
    previous, _ = await node.ask(previous=True, limit=2)

    assert [(line.restart, line.text) for line in lines] == [
        (n, text) for n in range(3) for text in (f"start {n}", f"last words of {n}")
    ]
    assert [line.text for line in previous] == ["start 1", "last words of 1"]


async def test_parts_are_joined_across_streams_blocks_and_generations(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 200)
    app = node.container()
    app.write(0, "before")
    app.write(1, "a" * 150, tag="P")
    app.write(1.5, "error", stream="stderr")
    app.write(2, "b" * 150, tag="P")
    app.rotate()
    app.write(3, "c", tag="F")
    app.write(4, "torn", tag="P")

    lines, _ = await node.ask()

    assert [(line.at - START) / SECOND for line in lines] == [0, 1, 1.5, 4]
    assert [line.text for line in lines] == ["before", "a" * 150 + "b" * 150 + "c", "error", "torn"]


async def test_levels_and_patterns_choose(node: Node) -> None:
    app = node.container()
    app.write(1, "INFO started")
    app.write(2, "ERROR order 17 failed")
    app.write(3, "ERROR order 18 failed")
    app.write(4, "just words")

    assert await node.texts(levels=("error", "fatal")) == ["ERROR order 17 failed", "ERROR order 18 failed"]
    assert await node.texts(levels=("error", ""), grep=r"18|words") == ["ERROR order 18 failed", "just words"]
    assert [line.level for line in (await node.ask())[0]] == ["info", "error", "error", ""]


async def test_nobody_reads_a_secret_nor_finds_one_by_asking(node: Node) -> None:
    app = node.container()
    app.write(1, "login password=hunter2 by bob@example.org")

    assert await node.texts() == ["login password=[scrubbed secret] by [scrubbed email]"]
    assert await node.texts(grep="hunter2") == []
    assert await node.texts(grep=r"password=(h|\[)") == ["login password=[scrubbed secret] by [scrubbed email]"]
    assert await node.texts(grep=r"password=h|^x") == []


async def test_bytes_that_are_no_text_and_very_long_lines_are_told_as_text(node: Node) -> None:
    app = node.container()
    with app.live.open("ab") as file:
        file.write(b"2026-01-02T03:04:05Z stdout F \xff\xfe ok\n")
        file.write(b"2026-01-02T03:04:06Z stdout P " + b"y" * 2_000_000 + b"\n")
        file.write(b"2026-01-02T03:04:06Z stdout F end\nno time at all\n")

    broken, long, bare = await node.texts()

    assert broken == "\ufffd\ufffd ok"
    assert long == "y" * MAX_LINE_BYTES
    assert bare == "no time at all"


async def test_what_is_gone_is_said(node: Node) -> None:
    app = node.container()
    app.write(1, "here")
    gone = LinePod(namespace="shop", name="gone-1", uid=UID)

    lines, missing = await node.ask(pods=(gone, node.pods[0]), containers=("app", "sidecar"))
    none, previous = await node.ask(previous=True)

    assert [(line.pod, line.text) for line in lines] == [(1, "here")]
    assert missing == [
        "pod shop/gone-1: its files are gone from the node",
        "pod shop/checkout-1: no files of the container sidecar",
    ]
    assert none == []
    assert previous == ["pod shop/checkout-1: no files of an earlier instance"]


async def test_the_first_payload_tells_how_far_the_files_reach_back(node: Node) -> None:
    app = node.container()
    app.write(5, "old")
    app.start_again()
    app.write(9, "new")
    gone = LinePod(namespace="shop", name="gone-1", uid=UID)

    payloads = [lines async for lines in node.payloads(pods=(node.pods[0], gone), limit=1)]

    assert payloads[0].oldest == (START + 5 * SECOND, 0)


@pytest.mark.parametrize(
    ("namespace", "name", "uid"),
    [("shop", "../../etc", UID), ("..", "..", "passwd"), ("shop", "a/b", UID), ("shop", "a_b", UID), ("", "", "")],
)
async def test_no_path_is_taken_from_a_request(node: Node, namespace: str, name: str, uid: str) -> None:
    (node.folder.parent / "secret_x_y").mkdir()

    lines, missing = await node.ask(pods=(LinePod(namespace=namespace, name=name, uid=uid),))

    assert lines == []
    assert "no name and uid of a pod" in missing[0]


async def test_links_out_of_the_folder_are_not_followed_but_docker_s(node: Node, tmp_path: Path) -> None:
    secret = tmp_path / "shadow"
    secret.write_bytes(b"2026-01-02T03:04:05Z stdout F root\n")
    bad = node.container("bad")
    bad.live.symlink_to(secret)
    folder = node.folder / f"shop_linked_{UID}"
    (tmp_path / "elsewhere" / "app").mkdir(parents=True)
    (tmp_path / "elsewhere" / "app" / "0.log").write_bytes(secret.read_bytes())
    folder.symlink_to(tmp_path / "elsewhere")
    node.pods.append(LinePod(namespace="shop", name="linked", uid=UID))
    docker = node.container("docker")
    ident = "ab" * 32
    target = tmp_path / "docker" / "containers" / ident / f"{ident}-json.log"
    target.parent.mkdir(parents=True)
    target.write_text('{"log":"of docker\\n","stream":"stderr","time":"2026-01-02T03:04:05.5Z"}\n')
    docker.live.symlink_to(target)

    lines, missing = await node.ask()

    assert [(line.text, line.stream) for line in lines] == [("of docker", "stderr")]
    assert "pod shop/bad: app/0.log leads elsewhere and is not read" in missing
    assert "pod shop/linked: its files are gone from the node" in missing


async def test_a_pattern_that_would_hang_another_engine_does_not(node: Node) -> None:
    node.container().write(1, "a" * 5_000 + "!")
    before = time.monotonic()

    assert await node.texts(grep="(a+)+$") == []
    assert time.monotonic() - before < 10


@pytest.mark.parametrize(
    "asked", [{"grep": "("}, {"levels": ("loud",)}, {"limit": 1_000_000}, {"pods": ()}, {"follow": True, "until": 5}]
)
async def test_a_question_that_cannot_be_is_refused(node: Node, asked: dict[str, object]) -> None:
    node.container().write(1, "x")

    with pytest.raises(Undecodable):
        await node.ask(**asked)


async def test_any_bytes_as_a_question_are_refused(node: Node) -> None:
    with pytest.raises(WireError):
        await anext(node.reader.handle(b"\xc1nonsense"))


@pytest.mark.parametrize(("limit", "value"), [("MAX_READ_BYTES", 600_000), ("MAX_SECONDS", 0.001)])
async def test_a_search_through_too_much_ends_and_says_how_far_it_came(
    node: Node, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(newest, limit, value)
    node.container().fill(0, 20_000, "x" * 60)

    lines, missing = await node.ask(grep=" 19999$| 5$")

    assert len(lines) == 1
    assert missing[0].startswith("only what is younger than 2026-")


async def test_lines_are_held_within_a_limit_of_bytes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MAX_HELD_BYTES", 10_000)
    node.container().fill(0, 1_000, "x" * 60)

    lines, missing = await node.ask()

    assert 100 < len(lines) < 160
    assert lines[-1].text.endswith(" 999")
    assert missing == ["the lines are long: there are older ones than these"]


async def test_who_goes_ends_the_reading(node: Node) -> None:
    node.container().fill(0, 60_000, "x" * 100)
    task = asyncio.create_task(node.texts(grep="nothing of it"))
    while not node.reader._waiting:
        await asyncio.sleep(0.001)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert node.reader._waiting == 0


async def test_no_more_requests_are_taken_than_there_are_turns(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "MAX_WAITING", -answering.MAX_READING)
    node.container().write(1, "x")

    with pytest.raises(Undecodable, match="being answered already"):
        await node.ask()

    families = {family.name: family.samples[0].value for family in node.reader.numbers.collect()}
    assert families["kubescribe_lines_requests"] == families["kubescribe_lines_refused"] == 1
