"""Composition of the pretend cluster: the only place that knows all its parts."""

import asyncio
import ctypes
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import structlog
from aiohttp import web

from kubescribe.runtime.loops import settle_garbage_collection
from simulator.api import ApiServer
from simulator.clients import Holds
from simulator.errors import BadSettings
from simulator.etcd import Etcd
from simulator.faults import Faults
from simulator.history import History
from simulator.kubeconfig import kept_token, kubeconfig, write_atomically
from simulator.kubelets.serving import Kubelets
from simulator.load import Load
from simulator.logs.answering import PodLogAnswers
from simulator.logs.folder import LogFolder
from simulator.logs.podlogs import LogSettings, PodLogs
from simulator.placing import Placing
from simulator.replay import Replay
from simulator.requests import RequestCounts
from simulator.resources import ResourceTable
from simulator.settings import SimulatorSettings
from simulator.streams import Action, Doing, Streams
from simulator.tokens import ServiceAccountToken, Tokens
from simulator.verbs import Verbs
from simulator.watchcache import WatchCaches
from simulator.watching import Watching, WatchSettings

HOST = "127.0.0.1"
"""Loopback only: it has one token and no TLS."""

OWN = "kubescribe"
"""Namespace and name of the ServiceAccount that the kubeconfig's token stands for."""

SHUTDOWN_SECONDS = 0.5
"""Open watches end at once; what does not is cut after this, well within a second."""

FIRST_BOOKMARK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


class RunningSimulator:
    """A pretend cluster that listens; its parts are open to tests in the same process."""

    def __init__(self, *, etcd: Etcd, caches: WatchCaches, load: Load, url: str, token: str) -> None:
        self.etcd = etcd
        self.caches = caches
        self.load = load
        self.url = url
        self.token = token


async def run(settings: SimulatorSettings, stop: asyncio.Event) -> None:
    """Run a pretend cluster until *stop* is set. BadSettings when it cannot start."""
    if settings.die_with_parent:
        _die_with_parent()
    async with opened(settings) as simulator, _loki(settings), asyncio.TaskGroup() as group:
        parts = [group.create_task(simulator.load.run(), name="simulator.load")]
        if not settings.quiet and settings.replay is None:
            # Lazily: a quiet cluster and a replay need no scenario.
            from simulator.world.app import World  # noqa: PLC0415

            world = World(
                simulator.etcd,
                nodes=settings.nodes,
                fargate_nodes=settings.fargate,
                pods=settings.pods,
                seed=settings.seed,
            )
            world.populate()
            simulator.etcd.flush()
            # Thousands of pods that stay: a collection that walks them all would hold up every watch.
            settle_garbage_collection()
            parts.append(group.create_task(world.run(), name="simulator.world"))
        if (logs := _pod_logs(settings, simulator.etcd)) is not None:
            logs.open()
            parts.append(group.create_task(logs.run(), name="simulator.logs"))
        if settings.write_kubeconfig is not None:
            _write_kubeconfig(settings.write_kubeconfig, simulator)
        log.info("simulator.started", url=simulator.url, revision=simulator.etcd.revision)
        await stop.wait()
        for part in parts:
            part.cancel()
    log.info("simulator.stopped")


def _pod_logs(settings: SimulatorSettings, etcd: Etcd) -> PodLogs | None:
    """Return what writes the containers' logs, if it is asked for."""
    folder = _log_folder(settings)
    if folder is None:
        return None
    how = LogSettings(
        lines_per_second=settings.log_rate,
        rotate_seconds=settings.log_rotate_seconds,
        max_bytes=settings.log_max_bytes,
        max_files=settings.log_max_files,
    )
    return PodLogs(etcd, folder, settings=how, seed=settings.seed)


def _log_folder(settings: SimulatorSettings) -> LogFolder | None:
    return None if settings.logs is None else LogFolder(settings.logs, by_node=settings.logs_by_node)


@asynccontextmanager
async def _loki(settings: SimulatorSettings) -> AsyncIterator[None]:
    """Serve the stand-in for Loki beside the API, if it is asked for."""
    if settings.loki_port is None:
        yield
        return
    # Lazily: google.protobuf is no part of a pretend cluster.
    from simulator.loki.app import running_loki  # noqa: PLC0415

    async with running_loki(port=settings.loki_port) as loki:
        log.info("simulator.loki_started", url=loki.url)
        yield


def _write_kubeconfig(path: Path, simulator: RunningSimulator) -> None:
    try:
        write_atomically(path, kubeconfig(simulator.url, simulator.token))
    except OSError as error:
        raise BadSettings(f"--write-kubeconfig {path}: {error.strerror}; name a file that can be written") from error


@asynccontextmanager
async def opened(settings: SimulatorSettings) -> AsyncIterator[RunningSimulator]:
    """Open the store and serve its API; neither the living cluster nor the load runs yet."""
    etcd = Etcd(ResourceTable(settings.custom_groups), History(settings.data / "history" if settings.data else None))
    try:
        etcd.open()
    except OSError as error:
        raise BadSettings(f"--data {settings.data}: {error.strerror}") from error
    try:
        caches = WatchCaches(etcd, settings.window_events)
        caches.open()
        load = Load(etcd, pods=settings.pods, rate=settings.rate, nodes=settings.nodes)
        token = settings.token or kept_token(settings.data)
        tokens = Tokens(etcd, settings.data / "tokens" if settings.data else None)
        tokens.register(ServiceAccountToken(token=token, namespace=OWN, name=OWN))
        streams, placing = Streams(), Placing(etcd)
        app = _application(settings, etcd, caches, load=load, streams=streams, tokens=tokens, placing=placing)
        with closing(placing):
            async with _listening(app, settings.port, streams) as port:
                yield RunningSimulator(etcd=etcd, caches=caches, load=load, url=f"http://{HOST}:{port}", token=token)
    finally:
        etcd.close()


def _application(
    settings: SimulatorSettings,
    etcd: Etcd,
    caches: WatchCaches,
    *,
    load: Load,
    streams: Streams,
    tokens: Tokens,
    placing: Placing,
) -> web.Application:
    faults, counts, holds = Faults(), RequestCounts(), Holds()
    kubelets = Kubelets(etcd, counts)
    watch_settings = WatchSettings(
        bookmark_period=settings.bookmark_seconds,
        first_bookmark=min(FIRST_BOOKMARK_SECONDS, settings.bookmark_seconds),
        fresh_wait=settings.fresh_wait_seconds,
        watcher_events=settings.watcher_events,
    )
    server = ApiServer(
        etcd=etcd,
        caches=caches,
        faults=faults,
        counts=counts,
        watching=Watching(
            etcd, faults, streams=streams, holds=holds, settings=watch_settings, rng=random.Random(settings.seed)
        ),
        settings=watch_settings,
        tokens=tokens,
        holds=holds,
        pod_logs=PodLogAnswers(etcd, _log_folder(settings)),
        replay=None if settings.replay is None else Replay(settings.replay),
    )
    # A restored store means a restarted API server: whatever was connected is not any more.
    etcd.on_restore(lambda: _do_all(streams, Action(Doing.DROP)))
    verbs = Verbs(
        etcd=etcd,
        caches=caches,
        faults=faults,
        streams=streams,
        counts=counts,
        load=load,
        tokens=tokens,
        holds=holds,
        placing=placing,
        kubelets=kubelets,
    )
    return server.application([*verbs.routes(), *kubelets.routes()])


@asynccontextmanager
async def _listening(app: web.Application, port: int, streams: Streams) -> AsyncIterator[int]:
    # Cancellation on disconnect: a watch of a quiet resource would otherwise outlive its client for an hour.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port, reuse_address=True).start()
        except OSError as error:
            raise BadSettings(f"--port {port}: {error.strerror}: choose another, or 0 for any") from error
        yield int(runner.addresses[0][1])
    finally:
        _do_all(streams, Action(Doing.DROP))
        await runner.cleanup()


def _do_all(streams: Streams, action: Action) -> None:
    for stream in streams.of(None):
        stream.do(action)


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux only; a no-op elsewhere)."""
    parent = os.getppid()
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        log.warning("simulator.parent_not_followed")
        return
    if os.getppid() != parent:
        raise BadSettings("--die-with-parent: the parent is gone already")
