"""The pretend cluster as a process: starts, dies and goes on."""

import asyncio
import sys
import time

import aiohttp
import pytest
import yaml

from simulator.process import SimulatorFailed, SimulatorProcess, simulator_process


async def test_kill_9_under_load_repeats_no_version_and_loses_none_that_was_seen(tmp_path):
    async with simulator_process(tmp_path, "--quiet", "--pods", "10", "--rate", "500") as simulator:
        async with simulator.control() as control:
            await control.until(lambda state: state["load"]["changes"] >= 50)
            seen = await control.history("pods")
            url = simulator.url

        await simulator.restart()

        assert url == simulator.url
        async with simulator.control() as control:
            await control.until(lambda state: state["load"]["changes"] >= 50)
            history = await control.history("pods")
    assert seen == history[: len(seen)]
    revisions = [record.revision for record in history]
    assert revisions == sorted(set(revisions))
    created = [record.uid for record in history if record.type == "ADDED"]
    assert len(created) == len(set(created)) == 10


async def test_it_stops_within_a_second_with_watches_open(tmp_path):
    async with (
        simulator_process(tmp_path, "--quiet") as simulator,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {simulator.token}"}) as session,
        session.get(f"{simulator.url}/api/v1/pods?watch=1"),
    ):
        began = time.monotonic()

        assert await simulator.terminate() == 0
        assert time.monotonic() - began < 2.0  # a second, on a machine that does nothing else


async def test_it_stops_while_a_client_is_held(tmp_path):
    async with (
        simulator_process(tmp_path, "--quiet") as simulator,
        simulator.control() as control,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {simulator.token}", "User-Agent": "held"}) as session,
        session.get(f"{simulator.url}/api/v1/pods?watch=1"),
    ):
        await control.hold_client(user_agent="held")
        asking = asyncio.ensure_future(session.get(f"{simulator.url}/api/v1/pods"))
        await control.until(lambda state: state["held"] == 1)
        began = time.monotonic()

        assert await simulator.terminate() == 0
        assert time.monotonic() - began < 3.0  # the grace of half a second, on a machine that does more than this
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_the_kubeconfig_is_private(tmp_path):
    async with simulator_process(tmp_path, "--quiet") as simulator:
        assert simulator.kubeconfig.stat().st_mode & 0o777 == 0o600


async def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path):
    async with simulator_process(tmp_path / "a", "--quiet") as simulator:
        port = simulator.url.rpartition(":")[2]
        second = SimulatorProcess(tmp_path / "b", "--quiet", "--port", port)

        with pytest.raises(SimulatorFailed, match=f"--port {port}: .*in use"):
            await second.start()
        assert await second.terminate() == 2
        assert "Traceback" not in second.output


async def test_the_living_cluster_lives(tmp_path):
    async with simulator_process(tmp_path, "--nodes", "3", "--pods", "20") as simulator, simulator.control() as control:
        state = await control.state()

        assert state["objects"]["nodes"] == 3
        assert state["objects"]["pods"] > 0


async def test_a_stand_in_for_loki_listens_beside_it(tmp_path):
    async with (
        simulator_process(tmp_path, "--quiet", "--loki-port", "0") as simulator,
        aiohttp.ClientSession() as session,
        session.get(f"{simulator.loki_url}/ready") as response,
    ):
        assert await response.text() == "ready\n"


async def test_the_containers_logs_go_on_after_kill_9(tmp_path):
    logs = tmp_path / "logs"
    options = ("--nodes", "1", "--pods", "5", "--logs", str(logs), "--log-rate", "20")
    async with simulator_process(tmp_path, *options) as simulator:
        before = await grown(logs, {})

        await simulator.restart()

        after = await grown(logs, before)
    for path in before.keys() & after.keys():
        assert path.read_bytes().count(b"starting ") == 1, path


async def grown(logs, sizes):
    """Wait until most log files are larger than *sizes* and hold a hundred bytes at least; return their sizes."""
    async with asyncio.timeout(20):
        while True:
            found = {path: path.stat().st_size for path in logs.glob("*/*/0.log")}
            larger = [path for path, size in found.items() if size > max(600, sizes.get(path, 0))]
            if found and len(larger) > len(found) / 2:
                return found
            await asyncio.sleep(0.05)


async def test_the_living_cluster_has_nodes_of_fargate(tmp_path):
    options = ("--nodes", "2", "--pods", "20", "--fargate", "2")
    async with simulator_process(tmp_path, *options) as simulator, simulator.control() as control:
        assert (await control.state())["objects"]["nodes"] == 4


async def test_it_dies_with_its_parent(tmp_path):
    options = f"'--quiet', '--die-with-parent', '--write-kubeconfig', '{tmp_path}/kubeconfig'"
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-m', 'simulator', {options}]).wait()",
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(20):
        while not (tmp_path / "kubeconfig").exists():
            await asyncio.sleep(0.02)
    url = yaml.safe_load((tmp_path / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()

    parent.kill()
    await parent.wait()

    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0.02)
