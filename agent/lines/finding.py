"""
Which files below the folder of all logs belong to the pods that are asked for. Nothing else is ever opened.

A path is never taken from a request: the names in it must look like the kubelet's own, and what is opened is what lies
under them. Folders that are symbolic links are not entered; a file may be one only as Docker has it, whose N.log leads
to /var/lib/docker/containers/<id>/<id>-json.log. Whoever can write there is root on the node, but a mistake of theirs
must not make us read /etc/shadow to somebody.
"""

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from agent.tail.generations import Generation, list_generations
from agent.tail.paths import Instance, is_container_folder, parse_file_name, parse_pod_folder
from kubescribe.wire.link import LinePod

_DOCKER = re.compile(r"/(?:[^/]+/)*containers/([0-9a-f]{64})/\1-json\.log(?:\.[0-9]+)?")


class Found(NamedTuple):
    """The instances of a pod's containers, oldest first for each, and what there is to say about those left out."""

    instances: list[Instance]
    missing: list[str]


def find_instances(folder: Path, pod: LinePod, containers: Sequence[str]) -> Found:
    """Return the instances of *pod* of which there are files; of *containers* alone, if any are named."""
    parsed = parse_pod_folder(f"{pod.namespace}_{pod.name}_{pod.uid}")
    title = f"pod {pod.namespace}/{pod.name}"
    if parsed is None or parsed[:3] != (pod.namespace, pod.name, pod.uid):
        return Found([], [f"{title[:128]}: that is no name and uid of a pod"])
    pod_folder = folder / parsed.name
    if not _is_folder(pod_folder):
        return Found([], [f"{title}: its files are gone from the node"])
    missing = [
        f"{title}: no files of the container {name[:64]}" for name in containers if not is_container_folder(name)
    ]
    instances: list[Instance] = []
    for container in [name for name in containers if is_container_folder(name)] or _containers(pod_folder, containers):
        restarts = _restarts(pod_folder / container, title, missing)
        instances += [Instance(*parsed, container, restart) for restart in sorted(restarts)]
        if not restarts:
            missing.append(f"{title}: no files of the container {container}")
    return Found(instances, missing)


def previous_only(instances: Sequence[Instance]) -> list[Instance]:
    """Return those of *instances* that are not the last of their container."""
    last: dict[str, int] = {}
    for instance in instances:
        last[instance.container] = max(last.get(instance.container, 0), instance.restart)
    return [instance for instance in instances if instance.restart < last[instance.container]]


def generations_of(folder: Path, instance: Instance) -> list[Generation]:
    """Return the files of *instance*, oldest first, without links elsewhere. Raises OSError if they cannot be had."""
    return [it for it in list_generations(folder, instance) if is_within(Path(it.path))]


def is_within(path: Path) -> bool:
    """Tell whether *path*, below a container's folder, is a file there, or Docker's."""
    try:
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode):
            return stat.S_ISREG(status.st_mode)
        return _DOCKER.fullmatch(os.path.realpath(path, strict=True)) is not None
    except OSError:
        return False


def _containers(pod_folder: Path, asked: Sequence[str]) -> list[str]:
    if asked:
        return []
    with suppress(OSError), os.scandir(pod_folder) as entries:
        return sorted(it.name for it in entries if is_container_folder(it.name) and it.is_dir(follow_symlinks=False))
    return []


def _restarts(container_folder: Path, title: str, missing: list[str]) -> set[int]:
    if not _is_folder(container_folder):
        return set()
    found: set[int] = set()
    with suppress(OSError), os.scandir(container_folder) as entries:
        for entry in entries:
            file = parse_file_name(entry.name)
            if file is None:
                continue
            if entry.is_symlink() and not is_within(Path(entry.path)):
                missing.append(f"{title}: {container_folder.name}/{entry.name} leads elsewhere and is not read")
                continue
            found.add(file.restart)
    return found


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
