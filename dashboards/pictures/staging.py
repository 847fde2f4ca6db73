"""
A stage for the pictures: a lively pretend cluster, the whole product on it, and a Prometheus that scrapes it.

As in a real cluster there is an agent for each node, a cluster agent and an aggregator; a shipper, some viewers, an
agent that dies for a while and a Loki that is away for half a minute. Everything listens on loopback and ends with us.
"""

import asyncio
import json
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from simulator.loki.control import LokiControl
from simulator.process import SimulatorProcess

COMMAND = Path(sys.executable).with_name("kubescribe")
SCRAPE_SECONDS = 5
NODES = 6
INSTALLATION = "kubescribe"
_LOOK_SECONDS = 3.0
_VIEWERS = 7


@dataclass(frozen=True, slots=True)
class Stage:
    """Where what is to be asked listens."""

    prometheus: str
    loki: str
    page: str


@dataclass(slots=True)
class _Company:
    """The processes of the product, by name; those of nodes come and go with them."""

    folder: Path
    cluster: SimulatorProcess
    loki: str
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    gateways: dict[str, str] = field(default_factory=dict)
    aggregator: dict[str, str] = field(default_factory=dict)

    async def start_aggregator(self) -> None:
        self.aggregator = {name: _address() for name in ("http", "ingest", "metrics")}
        addresses = [it for name, address in self.aggregator.items() for it in (f"--{name}", address)]
        options = ("--base-path", "/cluster-info", "--loki", self.loki)
        await self.start("aggregator", *addresses, *options, metrics=self.aggregator["metrics"])

    async def start_cluster_agent(self) -> None:
        await self._agent("cluster-agent", "--scope", "cluster")

    async def start_node_agent(self, node: str) -> None:
        gateway = self.gateways[node] = _address()
        await self._agent(
            node,
            *("--scope", "node", "--node", node, "--logs", str(self.folder / "pods" / node), "--loki", self.loki),
            *("--usage-kubelet", f"{self.cluster.url}/simulator/kubelets/{node}", "--gateway", gateway),
        )

    async def _agent(self, name: str, *options: str) -> None:
        metrics = _address()
        await self.start(
            name,
            *("--aggregator", f"http://{self.aggregator['ingest']}", "--profile", "standalone", "--cluster", "demo"),
            *("--metrics", metrics, "--spool-free-floor", "0%", "--usage-interval", "5s", *options),
            metrics=metrics,
        )

    async def start(self, name: str, *options: str, metrics: str) -> None:
        """Start a daemon under *name*, in a folder of its own."""
        role = "aggregator" if name == "aggregator" else "agent"
        folder = self.folder / name
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                COMMAND,
                *(role, "--data", str(folder), "--kubeconfig", str(self.cluster.kubeconfig), *options),
                stdout=log,
                stderr=log,
            )
        self.metrics[name] = metrics
        await asyncio.to_thread(self._tell_prometheus)

    async def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End the process under *name*, if it has not ended by itself."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            process.send_signal(number)
        await process.wait()

    async def forget(self, name: str) -> None:
        """End an agent whose node is gone."""
        await self.end(name)
        del self.metrics[name], self.gateways[name]
        await asyncio.to_thread(self._tell_prometheus)

    def _tell_prometheus(self) -> None:
        groups = [
            {"targets": [address], "labels": {"instance": name, "job": _job(name), "installation": INSTALLATION}}
            for name, address in self.metrics.items()
        ]
        new = self.folder / "targets.json.new"
        new.write_text(json.dumps(groups))
        new.rename(self.folder / "targets.json")


@asynccontextmanager
async def staged(folder: Path, *, seconds: float) -> AsyncIterator[Stage]:
    """Run everything in *folder* for *seconds*, then give what can be asked, and end everything afterwards."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    loki_port = _address().rpartition(":")[2]
    options = ("--nodes", str(NODES), "--pods", "60", "--seed", "11", "--logs", str(folder / "pods"), "--logs-by-node")
    cluster = SimulatorProcess(folder, *options, "--loki-port", loki_port)
    loki = f"http://127.0.0.1:{loki_port}"
    company = _Company(folder, cluster, loki)
    async with AsyncExitStack() as stack:
        await cluster.start()
        stack.push_async_callback(cluster.kill)
        stack.push_async_callback(_end_all, company)
        await company.start_aggregator()
        await company.start_cluster_agent()
        prometheus = await _prometheus(folder, stack)
        stage = Stage(prometheus, loki, f"http://{company.aggregator['http']}/cluster-info")
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for part in (_follow_nodes(company), _trouble(company, seconds), _ship(company), _view(stage, seconds)):
                    _run(group, part)
        yield stage


def _run(group: asyncio.TaskGroup, part: Coroutine[Any, Any, None]) -> None:
    group.create_task(part)


async def _prometheus(folder: Path, stack: AsyncExitStack) -> str:
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("there is no prometheus (Debian: apt-get install prometheus)")
    config = f"""\
global: {{scrape_interval: {SCRAPE_SECONDS}s}}
scrape_configs:
  - job_name: kubescribe
    honor_labels: true
    file_sd_configs: [{{files: ["{folder}/targets.json"]}}]
"""
    (folder / "prometheus.yml").write_text(config)
    address = _address()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *(f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"),
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    stack.push_async_callback(process.wait)
    stack.callback(process.terminate)
    return f"http://{address}"


async def _follow_nodes(company: _Company) -> None:
    """Keep an agent on each node, as a DaemonSet does."""
    async with aiohttp.ClientSession(headers=_proof(company)) as session:
        while True:
            async with session.get(f"{company.cluster.url}/api/v1/nodes") as answer:
                nodes = {it["metadata"]["name"] for it in (await answer.json())["items"]}
            for node in sorted(nodes - company.gateways.keys()):
                await company.start_node_agent(node)
            for node in sorted(company.gateways.keys() - nodes):
                await company.forget(node)
            await asyncio.sleep(_LOOK_SECONDS)


async def _trouble(company: _Company, seconds: float) -> None:
    """Let an agent die for a while, and Loki be away."""
    await asyncio.sleep(seconds * 0.4)
    node = sorted(company.gateways)[1]
    await company.end(node, signal.SIGKILL)
    await asyncio.sleep(seconds * 0.12)
    if node in company.gateways:
        await company.start_node_agent(node)
    await asyncio.sleep(seconds * 0.1)
    async with LokiControl(company.loki) as loki:
        await loki.down(30)
    await asyncio.Event().wait()


async def _ship(company: _Company) -> None:
    """Push lines to the gateways as Promtail does, some of no pod that anybody knows."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{company.cluster.url}/api/v1/pods", headers=_proof(company)) as answer:
                    pods = (await answer.json())["items"]
                for node, gateway in list(company.gateways.items()):
                    of_node = [pod["metadata"] for pod in pods if pod["spec"].get("nodeName") == node][:3]
                    labels = [{"namespace": it["namespace"], "pod": it["name"], "job": "audit"} for it in of_node]
                    streams = [
                        {"stream": it, "values": [[f"{time.time_ns()}", "level=info shipped"]]}
                        for it in (*labels, {"job": "audit", "host": node})
                    ]
                    async with session.post(f"http://{gateway}/loki/api/v1/push", json={"streams": streams}):
                        pass
            await asyncio.sleep(1)


async def _view(stage: Stage, seconds: float) -> None:
    """Have people look at the live feed, one after the other."""
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for number in range(_VIEWERS):
            _run(group, _look(session, stage.page, seconds * (0.2 + 0.1 * number)))
            await asyncio.sleep(seconds / 20)


async def _look(session: aiohttp.ClientSession, page: str, seconds: float) -> None:
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(seconds), session.get(f"{page}/api/v1/feed/sse?topic=changes") as feed:
            async for _ in feed.content:
                pass


async def _end_all(company: _Company) -> None:
    for name in list(company.processes):
        await company.end(name)


def _proof(company: _Company) -> dict[str, str]:
    return {"Authorization": f"Bearer {company.cluster.token}"}


def _job(name: str) -> str:
    return "kubescribe-aggregator" if name == "aggregator" else "kubescribe-agent"


def _address() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"
