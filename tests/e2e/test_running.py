"""What goes wrong while it runs: degraded, told, and recovering by itself; and every way to end."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.chaos.oracle import judge
from tests.e2e.processes import ANYWHERE, Process, Rig, ask, eventually, pretend_cluster, rigged, running, small_disk

pytestmark = pytest.mark.timeout(90)

SMALL = ("--quiet", "--pods", "20", "--window-events", "100000")


async def nothing_was_lost(rig: Rig) -> None:
    """Hold the journal against the cluster's own history."""
    async with rig.cluster.control() as control:
        await control.load(0)
        last = (await control.create("configmaps", {"metadata": {"name": "last", "namespace": "default"}}))["metadata"]
        rig.arrived(last["uid"], last["resourceVersion"])
        eventually(lambda: rig.agent.metric("kubescribe_spool_records") == 0)
        history = await control.history()
    finding = judge(history, rig.journal, since=0, until=history[-1].revision)
    assert finding.problems == []
    assert finding.judged > 100


@contextmanager
def no_room(rig: Rig) -> Iterator[None]:
    """The journal's disk is a small one, and somebody fills it."""
    filler = rig.folder / "journal" / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    yield
    filler.unlink()


@contextmanager
def no_growth(rig: Rig) -> Iterator[None]:
    """Every write of the aggregator beyond a few KB fails, its log's too."""
    rig.aggregator.limit_files(8192)
    yield
    rig.aggregator.limit_files(-1)


@contextmanager
def immutable(rig: Rig) -> Iterator[None]:
    """The files are read-only, for root too."""
    files = [str(rig.journal), f"{rig.journal}-wal"]
    if subprocess.run(["chattr", "+i", *files], capture_output=True, check=False).returncode:
        pytest.skip("chattr +i is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


Trouble = Callable[[Rig], Any]


@pytest.mark.parametrize("trouble", [no_room, no_growth, immutable])
async def test_a_journal_that_cannot_be_written_loses_nothing(tmp_path: Path, trouble: Trouble) -> None:
    with contextmanager(lambda: _disk(tmp_path, trouble))(), rigged(tmp_path, *SMALL) as rig:
        async with rig.cluster.control() as control:
            await control.load(200)
            with trouble(rig):
                # Where SQLite finds a page that it may use again, a commit may still succeed now and then.
                reason = eventually(lambda: rig.aggregator.ready().get("reason"), lambda: rig.aggregator.log[-1000:])
                kept = eventually(lambda: rig.agent.metric("kubescribe_spool_records"))

                assert "journal.db cannot be written" in reason
                eventually(lambda: rig.get("/api/v1/status").json()["journal"]["writable"] is False)
                assert rig.get("/api/v1/changes?limit=1000").json()["items"]
                await hears_the_feed(rig)
                eventually(lambda: rig.agent.metric("kubescribe_spool_records") > kept + 100)
            eventually(lambda: rig.aggregator.ready() == {"status": "ok"}, lambda: rig.aggregator.log[-1000:])
        await nothing_was_lost(rig)
        assert rig.get("/api/v1/status").json()["journal"]["writable"] is True
        assert "Traceback" not in rig.aggregator.log + rig.agent.log
        assert rig.agent.end() == 0
        assert rig.aggregator.end() == 0


def _disk(tmp_path: Path, trouble: Trouble) -> Iterator[None]:
    if trouble is no_room:
        with small_disk(tmp_path / "journal", "16m"):
            yield
    else:
        yield


async def hears_the_feed(rig: Rig) -> None:
    url = rig.aggregator.said["http"].rstrip("/") + "/api/v1/feed/sse?topic=changes&from=0"
    async with aiohttp.ClientSession() as session, session.get(url) as feed:
        assert feed.status == 200
        heard = b""
        while b'"type":"change"' not in heard:
            heard += await feed.content.readany()


def families(process: Process) -> set[str]:
    answer = ask(process.said["metrics"] + "/metrics")
    assert answer.status == 200
    return {line.split()[2] for line in answer.body.decode().splitlines() if line.startswith("# TYPE ")}


async def test_an_agent_that_cannot_write_is_scraped_as_ever_says_so_and_loses_nothing(tmp_path: Path) -> None:
    with rigged(tmp_path, *SMALL) as rig:
        told = families(rig.agent)
        async with rig.cluster.control() as control:
            await control.load(200)
            rig.agent.limit_files(0)
            eventually(lambda: rig.agent.metric("kubescribe_spool_write_failures_total") >= 2)

            assert families(rig.agent) == told
            assert rig.agent.metric("kubescribe_spool_bytes") > 0
            failed = rig.agent.metric("kubescribe_spool_write_failures_total")
            eventually(lambda: rig.agent.metric("kubescribe_spool_write_failures_total") > failed)
            rig.agent.limit_files(-1)
        await nothing_was_lost(rig)
        assert rig.agent.metric("kubescribe_spool_dropped_records_total") == 0


async def test_an_aggregator_that_hangs_loses_nothing(tmp_path: Path) -> None:
    with rigged(tmp_path, *SMALL) as rig:
        async with rig.cluster.control() as control:
            await control.load(200)
            rig.aggregator.send(signal.SIGSTOP)
            eventually(lambda: rig.agent.metric("kubescribe_spool_records") > 400)
            rig.aggregator.send(signal.SIGCONT)
        await nothing_was_lost(rig)


def ends_in_order(process: Process, number: int = signal.SIGTERM) -> None:
    started = time.monotonic()
    assert process.end(number) == 0
    assert time.monotonic() - started < 15
    assert process.events("process.stopped") or process.role == "up"
    for word in ("Traceback", "never retrieved", "never awaited", "was destroyed", "Unclosed"):
        assert word not in process.log


def test_the_aggregator_ends_in_order_while_an_agent_is_connected(tmp_path: Path) -> None:
    with rigged(tmp_path, *SMALL) as rig:
        ends_in_order(rig.aggregator, signal.SIGTERM)
        assert rig.agent.popen.poll() is None
        ends_in_order(rig.agent, signal.SIGINT)


async def test_a_journal_that_was_quiet_takes_what_comes_and_the_second_signal_kills(tmp_path: Path) -> None:
    """After 2 s without a commit the WAL is copied. An agent whose aggregator hangs has something to wait for."""
    with rigged(tmp_path, *SMALL) as rig:
        await asyncio.sleep(2.5)
        async with rig.cluster.control() as control:
            made = await control.create("configmaps", {"metadata": {"name": "late", "namespace": "default"}})
        rig.arrived(made["metadata"]["uid"], made["metadata"]["resourceVersion"])
        assert rig.aggregator.events("ingest.commit_failed") == []

        rig.aggregator.send(signal.SIGSTOP)
        rig.agent.send(signal.SIGTERM)
        eventually(lambda: rig.agent.events("process.stopping"))
        rig.agent.send(signal.SIGTERM)
        rig.agent.popen.wait(10)
        rig.aggregator.send(signal.SIGCONT)

        assert rig.agent.popen.returncode in {0, -signal.SIGTERM}


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_up_leaves_no_pretend_cluster_behind(tmp_path: Path, number: int) -> None:
    with running("up", tmp_path, "--simulate", "--data", str(tmp_path / "data"), *ANYWHERE) as up:
        (child,) = children(up.popen.pid)
        if number == signal.SIGTERM:
            ends_in_order(up)
        else:
            assert up.end(number) == -signal.SIGKILL

        eventually(lambda: not is_running(child))


def test_up_says_where_to_look_once_and_little_else(tmp_path: Path) -> None:
    with (
        pretend_cluster(tmp_path / "cluster", "--pods", "10") as cluster,
        running("up", tmp_path, "--kubeconfig", str(cluster.kubeconfig), "--data", str(tmp_path), *ANYWHERE) as up,
    ):
        eventually(lambda: up.metric('kubescribe_watch_streams{state="live"}') >= 30)
        ends_in_order(up)

        assert len(up.events("up.listening")) == 1
        assert up.said["look_at"].startswith("http://127.0.0.1:")
        assert len(up.log.splitlines()) < 12, up.log
        assert list((tmp_path / "clusters").iterdir())
