"""
`kubescribe up`: an aggregator and an agent in one process, against the current kubeconfig or a pretend cluster.

Both are the daemons of a cluster, with the real link between them (docs/decisions/0004). The journal and the spool lie
in a folder named for the cluster's uid, so that clusters are never mixed.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

import agent.app
import aggregator.app
from kubescribe.cli.upconfig import UpConfig
from kubescribe.loki.numbers import LokiCollector
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.tasks import run_parts

_log = structlog.get_logger()

_PRETEND_START_SECONDS = 30.0
_PRETEND_STOP_SECONDS = 5.0


async def run(config: UpConfig, stop: asyncio.Event) -> None:
    """Run both until *stop*. Raises what the daemons raise when they cannot start, and StartupError."""
    async with AsyncExitStack() as stack:
        kubeconfig = config.kubeconfig
        if config.simulate:
            kubeconfig = await stack.enter_async_context(_pretend_cluster(config))
            config = reading_pretend_logs(config)
        # Where the API server is, is asked first: its cluster decides which journal to open.
        cluster_uid = await agent.app.find_cluster(config.agent(config.data, aggregator="", kubeconfig=kubeconfig))
        folder = config.data / "clusters" / cluster_uid
        registry = CollectorRegistry()
        serving = await stack.enter_async_context(
            aggregator.app.assembled(config.aggregator(folder), registry, cluster_uid=cluster_uid)
        )
        watching = await stack.enter_async_context(
            agent.app.assembled(config.agent(folder, aggregator=serving.ingest_url, kubeconfig=kubeconfig))
        )
        for collector in watching.collectors:
            if isinstance(collector, LokiCollector) and serving.loki is not None:
                # One family of both: Prometheus refuses a page with the same family twice.
                serving.loki.add(collector)
            else:
                registry.register(collector)
        _log.info("up.listening", look_at=serving.http_url + config.http.base_path + "/", metrics=serving.metrics_url)
        # Sources first: the agent's parts end while the aggregator still commits what they sent.
        await run_parts(
            stop, [*watching.parts, *(replace(part, name=f"aggregator {part.name}") for part in serving.parts)]
        )


def reading_pretend_logs(config: UpConfig) -> UpConfig:
    """Return *config* with the pretend cluster's logs, unless it names a folder itself."""
    if config.logs.folder != UpConfig().logs.folder:
        return config
    return replace(config, logs=replace(config.logs, folder=_logs_folder(config)))


def _logs_folder(config: UpConfig) -> Path:
    return config.data / "simulator" / "logs"


@asynccontextmanager
async def _pretend_cluster(config: UpConfig) -> AsyncIterator[Path]:
    """Run the pretend cluster as a child while the block runs; yield its kubeconfig."""
    folder = config.data / "simulator"
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"--data {config.data}: {error.strerror}; name a folder that can be written") from error
    kubeconfig = folder / "kubeconfig"
    with suppress(FileNotFoundError):
        kubeconfig.unlink()
    pretend = config.simulator
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--port=0",
        f"--nodes={pretend.nodes}",
        f"--pods={pretend.pods}",
        f"--rate={pretend.rate}",
        f"--seed={pretend.seed}",
        f"--data={folder}",
        f"--logs={_logs_folder(config)}",
        f"--write-kubeconfig={kubeconfig}",
        f"--log-level={config.log.level}",
        f"--log-format={config.log.format}",
        "--die-with-parent",
        # The terminal's Ctrl-C is for this process, which ends the child when nothing reads from it any more.
        start_new_session=True,
    )
    try:
        await _until_written(kubeconfig, child)
        yield kubeconfig
    finally:
        await _end(child)


async def _until_written(kubeconfig: Path, child: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_PRETEND_START_SECONDS):
            while not os.path.exists(kubeconfig):  # noqa: ASYNC240, PTH110 - a file is the only sign
                if child.returncode is not None:
                    raise StartupError(f"the pretend cluster ended with exit code {child.returncode}; see above")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise StartupError(f"the pretend cluster did not start within {_PRETEND_START_SECONDS:g} s") from None


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(_PRETEND_STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
