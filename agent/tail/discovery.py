"""
Which instances of containers have files, from the folders alone: the API server may be away.

Folders that change are told by inotify where there is one, and all of them are looked through now and then: a watch can
be refused, and its queue can overflow. What is new is opened before anything else is done, since a pod of a moment is
deleted with its files; what was gone before that is missed, and told. Waits for the disk: not for the loop.
"""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.tail.inotify import Changed, Inotify
from agent.tail.missing import Missed
from agent.tail.news import Container, News
from agent.tail.opening import Opened, open_files, open_live
from agent.tail.paths import Instance, PodFolder, is_container_folder, parse_file_name, parse_pod_folder
from agent.tail.witness import Seen

_MOMENT_NS = 2_000_000_000
"""A container whose start fails stays without a file for as long as its pod; who is gone so soon after it was seen for
the first time was being deleted, and had one. The same goes for a pod without a container."""

_log = structlog.get_logger(__name__)

_NONE: frozenset[int] = frozenset()
_NOTHING = Changed(frozenset(), is_overflown=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    A container whose files are not what they were: `restarts` of its instances have files now.

    `opened` are files of them that are new, open: they are whoever's who takes this. Whatever is new was made after
    `since`, nanoseconds.
    """

    pod: PodFolder
    container: str
    restarts: frozenset[int]
    since: int = 0
    opened: tuple[Opened, ...] = ()


@dataclass(slots=True, kw_only=True)
class Finds:
    """What one look found, and what it came too late for."""

    found: list[Found] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    is_overflown: bool = False


class Discovery:
    """
    Looks through *folder*, that of all logs; *notifier* tells which folders to look at.

    At most *max_files* are open in this process because of it; *since* is from when on lines are wanted at all.
    """

    def __init__(
        self,
        folder: Path,
        notifier: Inotify | None,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        since: int = 0,
        max_files: int = 1024,
    ) -> None:
        self._folder = folder
        self._notifier = notifier
        self._now_ns = now_ns
        self._max_files = max_files
        self._known: dict[str, dict[str, frozenset[int]]] = {}
        self._bare: dict[Container, tuple[int, int]] = {}
        self._looked_at = since
        self._forgotten: list[Instance] = []
        self._opened: set[tuple[Container, int]] = set()
        self._opened_before: set[tuple[Container, int]] = set()
        self.seen = Seen()
        self.is_told = False
        """Whether new pods are told: not without inotify, where watches are refused, nor before the folder is there."""

    def look_at_changes(self) -> Finds:
        """Return what is new about those containers where something changed, as inotify tells."""
        return self._look(self._news(), ())

    def look_everywhere(self) -> Finds:
        """Return what is new about all containers."""
        news = self._news()
        refused = self._notifier.refused if self._notifier is not None else 0
        is_watched = self._watch(self._folder)
        finds = self._look(news, (*self._pods(), *self._known))
        self.is_told = is_watched and self._notifier is not None and self._notifier.refused == refused
        return finds

    def _pods(self) -> list[str]:
        try:
            return _folders(self._folder) or []
        except OSError as error:
            _log.warning("tail.folder_not_listed", folder=str(self._folder), error=str(error))
            return []

    def forget(self, instances: Iterable[Instance]) -> None:
        """Let *instances* be new if they have files: nobody reads them any more. From any thread."""
        self._forgotten += instances

    def _news(self) -> News:
        # What comes from now on is told the next time, and may be seen, and opened, today.
        since, self._looked_at = self._looked_at, self._now_ns()
        self._opened, self._opened_before = set(), self._opened
        changed = self._notifier.read() if self._notifier is not None else _NOTHING
        return News.of(changed, self._folder, since)

    def _look(self, news: News, pods: Iterable[str]) -> Finds:
        finds = Finds(is_overflown=news.is_overflown)
        if news.is_overflown:
            finds.missed.append(Missed(since=news.since))
        for name in sorted({*pods, *news.pods, *self._take_forgotten()}):
            pod = parse_pod_folder(name)
            try:
                if pod is not None:
                    self._look_at(pod, news, finds)
            except OSError as error:
                # Nothing is gone because it cannot be looked at: it stays as it was known.
                _log.warning("tail.folder_not_listed", folder=name, error=str(error))
        return finds

    def _take_forgotten(self) -> Iterable[str]:
        """Yield the folders of the pods of which an instance was forgotten."""
        while self._forgotten:
            instance = self._forgotten.pop()
            pod, _, container = instance.folder.partition("/")
            known = self._known.get(pod, {})
            if instance.restart in known.get(container, _NONE):
                known[container] -= {instance.restart}
                yield pod

    def _look_at(self, pod: PodFolder, news: News, finds: Finds) -> None:
        self.seen.add(pod.uid)
        now, is_there = self._list(self._folder / pod.name)
        is_another = self._is_another(pod, news)
        is_new, before = is_another or pod.name not in self._known, self._known.pop(pod.name, {})
        for container in now:
            # In a folder that was made anew under a known name the files are others.
            is_made = pod.name in news.new_pods or container in news.new_containers[pod.name]
            known = _NONE if is_made else before.get(container, _NONE)
            opened = self._open(pod, container, now[container] - known, news, finds)
            if opened or now[container] != before.get(container, _NONE):
                restarts = now[container]
                finds.found.append(
                    Found(pod=pod, container=container, restarts=restarts, since=news.since, opened=opened)
                )
        for container in before.keys() - now.keys():
            if before[container]:
                finds.found.append(Found(pod=pod, container=container, restarts=_NONE, since=news.since))
        if is_another:
            finds.missed += self._missed_bare(pod)
        self._unwatch(pod, before.keys() - now.keys(), is_there=is_there)
        bare_since, bare_at = self._bare.pop((pod.name, ""), (0, 0))
        if is_there:
            self._known[pod.name] = now
            if not now and (is_new or bare_at):
                self._bare[pod.name, ""] = (bare_since, bare_at) if bare_at else (news.since, self._now_ns())
        if self._is_missed(pod, news, is_new=is_new, is_there=is_there):
            finds.missed.append(Missed(*pod, since=news.since))
        elif not is_there and self._is_moment(bare_at) and not news.new_containers[pod.name]:
            # It was seen when its containers' folders were deleted already, and it not yet.
            finds.missed.append(Missed(*pod, since=bare_since))
        finds.missed += self._missed(pod, {} if is_another else before, now, news)

    def _missed_bare(self, pod: PodFolder) -> Iterable[Missed]:
        """Yield what of the folder that is another by now was seen bare, and then was being deleted."""
        for key in [key for key in self._bare if key[0] == pod.name]:
            since, at = self._bare.pop(key)
            if self._is_moment(at):
                yield Missed(*pod, container=key[1], since=since)

    def _is_missed(self, pod: PodFolder, news: News, *, is_new: bool, is_there: bool) -> bool:
        """Tell whether a folder of the pod came and went since the last look, in which nothing of it was opened."""
        if is_new and not is_there:
            return pod.name in news.new_pods
        return pod.name in news.brief_pods and not self._was_opened(pod, news)

    def _is_another(self, pod: PodFolder, news: News) -> bool:
        """Tell whether the folder that is known was another one, which had the pod's name before this one."""
        return pod.name in self._known and pod.name in news.new_pods and not self._was_opened(pod, news)

    def _was_opened(self, pod: PodFolder, news: News) -> bool:
        """Tell whether what the look before opened is told of only now; not when it was another folder of the name."""
        return pod.name not in news.replaced_pods and any(name == pod.name for (name, _), _ in self._opened_before)

    def _missed(
        self, pod: PodFolder, before: dict[str, frozenset[int]], now: dict[str, frozenset[int]], news: News
    ) -> Iterable[Missed]:
        """Yield what was made in the folder of a pod, and was gone before it was listed."""
        for container in sorted({*before, *now, *news.new_containers[pod.name]}):
            key = (pod.name, container)
            missed = [
                restart
                for restart in sorted(news.gone_files[key])
                if (key, restart) not in self._opened_before and (key, restart) not in self._opened
            ]
            skipped = _between(before.get(container, _NONE), now.get(container, _NONE)) - news.files[key]
            missed += sorted(skipped)[-1:]
            for restart in missed:
                yield Missed(*pod, container=container, restart=restart, since=news.since)
            bare_since, bare_at = self._bare.pop(key, (0, 0))
            if container in now:
                if not now[container] and not missed and (container not in before or bare_at):
                    self._bare[key] = (bare_since, bare_at) if bare_at else (news.since, self._now_ns())
            elif container not in before and is_container_folder(container):
                yield Missed(*pod, container=container, since=news.since)
            elif self._is_moment(bare_at) and not news.files[key]:
                yield Missed(*pod, container=container, since=bare_since)

    def _open(
        self, pod: PodFolder, container: str, new: frozenset[int], news: News, finds: Finds
    ) -> tuple[Opened, ...]:
        """Open the files of *new* instances, and of others what they write if that was made anew."""
        folder, key = self._folder / pod.name / container, (pod.name, container)
        openings = open_files(folder, new, self._max_files)
        anew = open_live(folder, news.files[key] - new, self._max_files)
        for restart in sorted(openings.vanished):
            finds.missed.append(Missed(*pod, container=container, restart=restart, since=news.since))
        opened = (*openings.opened, *anew.opened)
        self._opened |= {(key, each.restart) for each in opened} | {(key, restart) for restart in openings.vanished}
        return opened

    def _is_moment(self, bare_at: int) -> bool:
        return bool(bare_at) and self._now_ns() - bare_at < _MOMENT_NS

    def _list(self, pod: Path) -> tuple[dict[str, frozenset[int]], bool]:
        """Return the restarts of the containers in a pod's folder, and whether it is there. Raises OSError."""
        # Before it is listed: what comes in between is told.
        self._watch(pod)
        listed = _folders(pod)
        restarts: dict[str, frozenset[int]] = {}
        for container in filter(is_container_folder, listed or ()):
            folder = pod / container
            # Whether what comes and goes had anything in it is worth knowing; then a busy file would wake us each time.
            self._watch(folder, with_writes=True)
            restarts[container] = _restarts(folder)
            if restarts[container]:
                self._watch(folder)
        return restarts, listed is not None

    def _watch(self, folder: Path, *, with_writes: bool = False) -> bool:
        return self._notifier is not None and self._notifier.watch(folder, with_writes=with_writes)

    def _unwatch(self, pod: PodFolder, containers: Iterable[str], *, is_there: bool) -> None:
        """Watch those folders no more that are gone: while a file in them is open, the system keeps the watch."""
        if self._notifier is not None:
            for container in containers:
                self._notifier.unwatch(self._folder / pod.name / container)
            if not is_there:
                self._notifier.unwatch(self._folder / pod.name)


def _folders(folder: Path) -> list[str] | None:
    """Return the folders in *folder*; None when it is not there."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return None


def _restarts(folder: Path) -> frozenset[int]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        files = (parse_file_name(entry.name) for entry in entries)
        return frozenset(file.restart for file in files if file is not None)
    return _NONE


def _between(before: frozenset[int], now: frozenset[int]) -> set[int]:
    """Return the instances that came and went between two looks: their numbers tell, also without inotify."""
    newest = max(before, default=-1)
    return {*range(newest + 1, max(now, default=-1))} - now if newest >= 0 else set()
