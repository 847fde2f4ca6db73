"""
Which instances of containers have files, from the folders alone: the API server may be away.

Folders that change are told by inotify where there is one, and all of them are looked through now and then: a watch can
be refused, and its queue can overflow. Waits for the disk: not for the loop.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.tail.inotify import Inotify
from agent.tail.paths import PodFolder, is_container_folder, parse_file_name, parse_pod_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container whose files are not what they were: `restarts` of its instances have files now."""

    pod: PodFolder
    container: str
    restarts: frozenset[int]


class Discovery:
    """Looks through *folder*, that of all logs; *notifier* tells which folders to look at."""

    def __init__(self, folder: Path, notifier: Inotify | None) -> None:
        self._folder = folder
        self._notifier = notifier
        self._known: dict[str, dict[str, frozenset[int]]] = {}
        self.is_told = False
        """Whether new pods are told: not without inotify, nor before the folder of all logs is there."""

    def look_at(self, changed: Iterable[tuple[Path, str]]) -> list[Found]:
        """Return what is new about those containers where something *changed*: (folder, name in it)."""
        pods = set()
        for folder, name in changed:
            if folder == self._folder:
                pods.add(name)
            elif folder.parent == self._folder:
                pods.add(folder.name)
            else:
                pods.add(folder.parent.name)
        return [found for pod in sorted(pods) for found in self._pod(pod)]

    def look_everywhere(self) -> list[Found]:
        """Return what is new about all containers."""
        self.is_told = self._watch(self._folder)
        names = {*_folders(self._folder), *self._known}
        return [found for pod in sorted(names) for found in self._pod(pod)]

    def _pod(self, name: str) -> list[Found]:
        pod = parse_pod_folder(name)
        if pod is None:
            return []
        path = self._folder / name
        # Before it is listed: what comes in between is told.
        self._watch(path)
        before = self._known.pop(name, {})
        now: dict[str, frozenset[int]] = {}
        for container in _folders(path):
            if is_container_folder(container):
                self._watch(path / container)
                now[container] = _restarts(path / container)
        if now:
            self._known[name] = now
        gone = {container: frozenset[int]() for container in before if container not in now}
        return [
            Found(pod=pod, container=container, restarts=restarts)
            for container, restarts in {**now, **gone}.items()
            if before.get(container) != restarts
        ]

    def _watch(self, folder: Path) -> bool:
        return self._notifier is not None and self._notifier.watch(folder)


def _folders(folder: Path) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _restarts(folder: Path) -> frozenset[int]:
    with suppress(OSError), os.scandir(folder) as entries:
        files = (parse_file_name(entry.name) for entry in entries)
        return frozenset(file.restart for file in files if file is not None)
    return frozenset()
