"""Lines through the API server, where there are no files: the same answers, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.kube.session import open_session
from agent.lines import served
from agent.lines.answering import LineReader
from agent.lines.choosing import FilesOrServer
from agent.lines.counting import LineNumbers
from agent.lines.served import ServedLines
from kubescribe.kube.access import Access
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.codec import decode_lines, encode_line_query
from kubescribe.wire.link import LinePod, LineQuery, Lines
from simulator.app import opened
from simulator.logs.writer import ContainerLog, LogOf
from simulator.settings import SimulatorSettings
from tests.agent.conftest import StaticToken


@dataclass
class Served:
    """One pod of a pretend cluster, whose status and log the test writes."""

    etcd: Any
    log: ContainerLog
    lines: ServedLines
    pod: LinePod

    def report(self, *, restarts: int = 0) -> None:
        pod = self.etcd.get("pods", "shop", "web-0")
        running = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
        last = {"terminated": {"exitCode": 1, "containerID": "containerd://ab"}} if restarts else {}
        status = {"name": "app", "state": running, "lastState": last, "restartCount": restarts}
        pod["status"] = {"phase": "Running", "containerStatuses": [status]}
        self.etcd.update("pods", pod, manager="test", subresource="status")
        self.etcd.flush()

    async def payloads(self, **asked: Any) -> AsyncIterator[Lines]:
        asked.setdefault("pods", (self.pod,))
        answer = self.lines.handle(encode_line_query(LineQuery(**asked)))
        try:
            async for payload in answer:
                yield decode_lines(payload)
        finally:
            await answer.aclose()

    async def ask(self, **asked: Any) -> tuple[list[str], list[str]]:
        payloads = [payload async for payload in self.payloads(**asked)]
        return [line.text for it in payloads for line in it.lines], [text for it in payloads for text in it.missing]


@pytest.fixture
async def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(served, "POLL_SECONDS", 0.02)
    async with AsyncExitStack() as stack:
        settings = SimulatorSettings(quiet=True, token="t0ken", logs=tmp_path / "logs")
        cluster = await stack.enter_async_context(opened(settings))
        access = Access(base_url=cluster.url, credentials=StaticToken("t0ken"))
        session = await stack.enter_async_context(open_session(access, version="test"))
        spec = {"containers": [{"name": "app", "image": "x/app:1.0"}], "nodeName": "node-1"}
        made = cluster.etcd.create(
            "pods", {"metadata": {"name": "web-0", "namespace": "shop"}, "spec": spec}, manager="test"
        )
        uid = made["metadata"]["uid"]
        log = ContainerLog(tmp_path / "logs", LogOf(namespace="shop", pod="web-0", uid=uid, container="app"))
        lines = ServedLines(session, Scrubber(), LineNumbers())
        web = Served(cluster.etcd, log, lines, LinePod(namespace="shop", name="web-0", uid=uid))
        web.report()
        yield web
        log.close()


async def test_lines_are_filtered_and_scrubbed_as_those_of_files(web: Served) -> None:
    web.log.write(["INFO a", "ERROR password=hunter2", "INFO c"])

    assert await web.ask() == (["INFO a", "ERROR password=[scrubbed secret]", "INFO c"], [])
    assert (await web.ask(limit=1))[0] == ["INFO c"]
    assert (await web.ask(levels=("error",)))[0] == ["ERROR password=[scrubbed secret]"]
    assert (await web.ask(grep="hunter2"))[0] == []


async def test_the_instance_before_is_asked_for(web: Served) -> None:
    web.log.write(["first life"])
    web.log.restart()
    web.log.write(["second life"])
    web.report(restarts=1)

    assert (await web.ask(previous=True))[0] == ["first life"]
    assert (await web.ask())[0] == ["second life"]


async def test_what_the_api_server_says_no_to_is_told(web: Served) -> None:
    gone = LinePod(namespace="shop", name="gone-0", uid="u-1")
    other = LinePod(namespace="shop", name="web-0", uid="u-2")
    evil = LinePod(namespace="shop", name="../../nodes", uid="u-3")
    web.log.write(["here"])

    lines, missing = await web.ask(pods=(gone, other, evil, web.pod), previous=True)

    assert lines == []
    assert any("gone-0" in text and "not found" in text for text in missing)
    assert any("another pod has its name now" in text for text in missing)
    assert any("no name and uid of a pod" in text for text in missing)
    assert any("previous terminated container" in text for text in missing)


async def test_lines_are_followed_without_a_repeat_until_the_pod_is_gone(web: Served) -> None:
    web.log.write(["old"])
    found: list[str] = []
    async with asyncio.timeout(20):
        async for payload in web.payloads(follow=True):
            found += [line.text for line in payload.lines]
            if payload.live and not payload.lines:
                web.log.write(["new"])
            elif found[-1:] == ["new"]:
                web.log.write(["newer"])
            elif found[-1:] == ["newer"]:
                web.etcd.delete("pods", "shop", "web-0")
                web.etcd.flush()
    web.log.remove()

    assert found == ["old", "new", "newer"]


async def test_files_are_read_as_soon_as_there_is_a_folder(web: Served, tmp_path: Path) -> None:
    web.log.write(["of the API server"])
    folder = tmp_path / "later"
    files = LineReader(folder, Scrubber())
    either = FilesOrServer(folder, files, web.lines)
    asked = encode_line_query(LineQuery(pods=(web.pod,)))

    served_first = [decode_lines(payload) async for payload in either.handle(asked)]
    ContainerLog(folder, LogOf(namespace="shop", pod="web-0", uid=web.pod.uid, container="app")).write(["of a file"])
    of_files = [decode_lines(payload) async for payload in either.handle(asked)]
    files.close()

    assert [line.text for lines in served_first for line in lines.lines] == ["of the API server"]
    assert [line.text for lines in of_files for line in lines.lines] == ["of a file"]
