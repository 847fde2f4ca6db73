"""
The logs of all pods of the pretend cluster, which follow from what its API says of them.

A container that runs writes; one that ends says why, in the words of its story; a restart begins N+1; a pod that is
gone takes its folder along a moment later. Nothing here knows the world that moves the pods: what is in the store
decides, so that a pretend cluster that is started again goes on with the files that are there.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from simulator.etcd import Etcd
from simulator.load import NAMESPACE as LOAD_NAMESPACE
from simulator.logs import sayings
from simulator.logs.folder import LogFolder
from simulator.logs.formats import wording_of
from simulator.logs.podviews import ContainerView, PodView, pod_view
from simulator.logs.rotating import Rotation
from simulator.logs.sayings import Saying
from simulator.logs.writer import ContainerLog, LogOf
from simulator.versions import DELETED, Event, Version
from simulator.world.fates import MISSING_INPUT, POOL_SIZE_KEY

TICK_SECONDS = 0.25
LONGEST_TICK_SECONDS = 5.0
"""After a pause (a laptop that slept) no more is caught up."""

LEAVING_SECONDS = 2.0
"""Between the end of the pod object and that of its folder: a kubelet takes seconds for it."""

MEASURE_SECONDS = 60.0
"""Between two looks at the size of all files, of which there may be ten thousand."""

MIN_ROTATED_BYTES = 4 * 1024
MAX_ROTATED_BYTES = 1024 * 1024

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How much the pretend containers write, and how the kubelet keeps it."""

    lines_per_second: float = 0.5
    """Of one container."""
    max_lines_per_second: float = 100.0
    """Of all containers."""
    rotate_seconds: float = 10.0
    """Between two looks at the sizes (containerLogMonitorInterval)."""
    max_bytes: int = 0
    """A file of this size is rotated; 0: what keeps all files within total_bytes, at most 1 MiB."""
    max_files: int = 5
    total_bytes: int = 100_000_000
    """Of all files; above it only the stories are told."""


@dataclass(slots=True, kw_only=True)
class _Container:
    log: ContainerLog
    view: ContainerView
    is_touched: bool = True
    """Written since the last look at its size: of ten thousand files few are looked at."""


@dataclass(slots=True, kw_only=True)
class _Pod:
    view: PodView
    containers: dict[str, _Container] = field(default_factory=dict)
    cause: str = ""
    """Why it crashes, where a changed ConfigMap told."""


class PodLogs:
    """Writes the logs of the pods in *etcd* below *folder*; not for several threads."""

    def __init__(
        self,
        etcd: Etcd,
        folder: LogFolder,
        *,
        settings: LogSettings | None = None,
        seed: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._etcd = etcd
        self._folder = folder
        self._settings = settings or LogSettings()
        self._rng = random.Random(seed)
        self._now_ns = now_ns
        self._pods: dict[Key, _Pod] = {}
        self._pool_sizes: dict[Key, str] = {}
        self._leaving: list[tuple[int, PodView]] = []
        self._ticked = now_ns()
        self._looked = 0
        self._measured = 0
        self._owed = 0.0
        self._is_full = False

    def open(self) -> None:
        """Take up what the store and the folder hold, and follow the store. BadSettings, as LogFolder.open."""
        self._folder.open()
        self._adopt()
        self._etcd.subscribe(self._observe)
        self._etcd.on_restore(self._adopt)

    async def run(self) -> None:
        """Write in real time until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Write what a tick of ordinary life brings, rotate what is due, remove what is gone."""
        now = self._now_ns()
        running = [
            (pod, container)
            for pod in self._pods.values()
            for container in pod.containers.values()
            if container.view.is_running
        ]
        if running and not self._is_full:
            settings = self._settings
            rate = min(settings.max_lines_per_second, settings.lines_per_second * len(running))
            self._owed += rate * min(LONGEST_TICK_SECONDS, (now - self._ticked) / 1e9)
            for _ in range(int(self._owed)):
                pod, container = self._rng.choice(running)
                self._say(pod, container, [sayings.ordinary(self._rng)])
            self._owed -= int(self._owed)
        self._ticked = now
        if now - self._looked >= self._settings.rotate_seconds * 1e9:
            self._looked = now
            self._rotate(running)
        self._remove_due(now)

    # Following the store

    def _adopt(self) -> None:
        self._pods.clear()
        self._leaving.clear()
        for key, version in self._etcd.state(self._etcd.table.find("configmaps")).items():
            self._pool_sizes[key] = _pool_size(version)
        for version in self._etcd.state(self._etcd.table.find("pods")).values():
            if version.namespace != LOAD_NAMESPACE and (view := pod_view(version.body)) is not None:
                self._see(version.key, view)
        known = {self._log_of(pod.view, "").pod_folder(self._root(pod.view)) for pod in self._pods.values()}
        self._folder.sweep(known)

    def _observe(self, events: Sequence[Event], _: int) -> None:
        for event in events:
            version = event.version
            plural = version.resource.plural
            if plural == "pods" and version.namespace != LOAD_NAMESPACE:
                self._observe_pod(event)
            elif plural == "configmaps":
                self._observe_config(version, is_gone=event.type == DELETED)

    def _observe_pod(self, event: Event) -> None:
        key = event.version.key
        known = self._pods.get(key)
        if event.type == DELETED:
            if known is not None:
                self._leave(key, known)
            return
        view = pod_view(event.version.body)
        if view is None:
            return
        if known is not None and known.view.uid != view.uid:
            # A StatefulSet's pod has its name again before the store told of the end of the one before.
            self._leave(key, known)
        self._see(key, view)

    def _observe_config(self, version: Version, *, is_gone: bool) -> None:
        old, new = self._pool_sizes.get(version.key, ""), "" if is_gone else _pool_size(version)
        self._pool_sizes[version.key] = new
        if old == new or not old or not new:
            return
        for pod in self._pods.values():
            if pod.view.namespace == version.namespace and version.name in pod.view.config_maps:
                for container in pod.containers.values():
                    if container.view.is_running:
                        self._say(pod, container, [sayings.reconfigured(old, new)])

    def _see(self, key: Key, view: PodView) -> None:
        pod = self._pods.get(key)
        if pod is None:
            pod = self._pods[key] = _Pod(view=view)
        before, pod.view = pod.view, view
        for now in view.containers:
            container = pod.containers.get(now.name)
            if container is None:
                if not now.is_running and not self._has_files(view, now.name):
                    continue
                pod.containers[now.name] = self._began(pod, now)
                continue
            self._change(pod, container, now, was_terminating=before.is_terminating)

    def _began(self, pod: _Pod, view: ContainerView) -> _Container:
        log = ContainerLog(
            self._root(pod.view), self._log_of(pod.view, view.name), instance=view.instance, now_ns=self._now_ns
        )
        container = _Container(log=log, view=view)
        is_new = not log.path.exists()
        if view.is_running and is_new:
            log.restart(view.instance)
            self._say(pod, container, self._start_of(pod, view))
        log.close()
        return container

    def _change(self, pod: _Pod, container: _Container, now: ContainerView, *, was_terminating: bool) -> None:
        before, container.view = container.view, now
        if before.is_running and (not now.is_running or now.instance != before.instance):
            self._end(pod, container, now)
        if now.is_running and (not before.is_running or now.instance != before.instance):
            container.log.restart(now.instance)
            self._say(pod, container, self._start_of(pod, now))
        elif now.is_running and before.is_ready and not now.is_ready:
            self._say(pod, container, [sayings.unready()])
        if pod.view.is_terminating and not was_terminating and now.is_running:
            self._say(pod, container, sayings.stopping())
        container.log.close()

    def _end(self, pod: _Pod, container: _Container, now: ContainerView) -> None:
        """Write the last words of an instance."""
        if now.reason == "OOMKilled":
            self._say(pod, container, sayings.out_of_memory(now.memory_limit, self._rng))
            # SIGKILL in the middle of a line: its last record is a part without an end.
            container.log.write(["allocating 64 MiB for batch 17 of"], ended=False)
        elif pod.view.is_terminating:
            return
        elif now.exit_code:
            self._say(pod, container, sayings.crashing(self._cause_of(pod, now)))
        else:
            self._say(pod, container, sayings.completed(self._rng))

    def _leave(self, key: Key, pod: _Pod) -> None:
        for container in pod.containers.values():
            container.log.close()
        self._pods.pop(key, None)
        self._leaving.append((self._now_ns() + int(LEAVING_SECONDS * 1e9), pod.view))

    # Words

    def _say(self, pod: _Pod, container: _Container, said: Iterable[Saying]) -> None:
        program = pod.view.program
        container.is_touched = True
        wording = wording_of(program)
        for saying in said:
            stream, lines = wording(program, datetime.fromtimestamp(self._now_ns() / 1e9, UTC), saying)
            container.log.write(lines, stream)
        container.log.close()

    def _start_of(self, pod: _Pod, view: ContainerView) -> Sequence[Saying]:
        return sayings.starting(pod.view.program, view.image.rpartition(":")[2], restart=view.instance)

    def _cause_of(self, pod: _Pod, view: ContainerView) -> str:
        if "-rc" in view.image:
            return "candidate"
        if MISSING_INPUT in view.inputs:
            return "input"
        if any(self._pool_sizes.get((pod.view.namespace, name)) == "0" for name in pod.view.config_maps):
            return "config"
        return "defect"

    # Files

    def _root(self, view: PodView) -> Path:
        return self._folder.of_node(view.node)

    def _log_of(self, view: PodView, container: str) -> LogOf:
        return LogOf(namespace=view.namespace, pod=view.name, uid=view.uid, container=container)

    def _has_files(self, view: PodView, container: str) -> bool:
        return self._log_of(view, container).folder(self._root(view)).is_dir()

    def _rotate(self, running: Sequence[tuple[_Pod, _Container]]) -> None:
        settings = self._settings
        files = 2 * settings.max_files * max(1, sum(len(pod.containers) for pod in self._pods.values()))
        share = min(MAX_ROTATED_BYTES, max(MIN_ROTATED_BYTES, settings.total_bytes // files))
        rotation = Rotation(max_bytes=settings.max_bytes or share, max_files=settings.max_files)
        for container in (each for _, each in running if each.is_touched):
            container.is_touched = False
            container.log.rotation = rotation
            container.log.rotate_if_due()
            container.log.close()
        now = self._now_ns()
        if now - self._measured >= MEASURE_SECONDS * 1e9:
            self._measured = now
            self._is_full = self._folder.bytes() > settings.total_bytes

    def _remove_due(self, now: int) -> None:
        due = [view for at, view in self._leaving if at <= now]
        self._leaving = [(at, view) for at, view in self._leaving if at > now]
        for view in due:
            ContainerLog(self._root(view), self._log_of(view, "")).remove()


def _pool_size(version: Version) -> str:
    data = version.object().get("data")
    return str(data.get(POOL_SIZE_KEY, "")) if isinstance(data, dict) else ""
