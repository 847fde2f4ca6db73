"""
What containers write from now on, through rotation and restart. Blocking, polled: for threads.

A file that is at its end is looked at again: has it another inode, its instance was rotated, and the generations that
are younger than the one that was read come next, however many. Once a second the folders are looked at for new
instances; the one before is read to its end first. A file stays readable after its pod is deleted.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.lines.finding import find_instances, generations_of
from agent.lines.joining import Entry, Joiner
from agent.lines.reading import end_of_entries
from agent.tail.generations import Generation, GenerationFile, PlainFile, open_generation
from agent.tail.paths import Instance
from kubescribe.wire.link import LinePod

POLL_SECONDS = 0.25
"""A person does not see it; a hundred files cost two milliseconds of a core a second."""

_LOOK_SECONDS = 1.0
_READ_BYTES = 256 * 1024
_MAX_TURN_BYTES = 2**20
"""Of one container in a turn: a flood of one must not hold back the others."""

_MAX_POLL_BYTES = 4 * 2**20
"""Of all of them: what is read is held in memory until it is told."""

_MAX_BEHIND_BYTES = 8 * 2**20
_KEPT_BYTES = 2**20
"""Whoever is farther behind in a file goes on with so much of its end."""

_MAX_LINE_BYTES = 2**20
_LINGER_SECONDS = 2.0
"""A folder that is gone for this long was the pod's end; the kubelet never makes one anew."""

_START_SECONDS = 30.0
"""A pod that has no folder yet may be waiting for its image."""

MAX_FILES = 256
"""Files that one follower holds open."""

Sink = Callable[[int, Instance, Entry], None]


@dataclass(slots=True)
class _Container:
    """One container that is followed: the file that is read, and what of it was not a line yet."""

    pod: int
    instance: Instance
    file: GenerationFile | None = None
    offset: int = 0
    identity: int = 0
    inode: int = 0
    is_packed: bool = False
    rest: bytes = b""
    joiner: Joiner = field(default_factory=Joiner)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class Follower:
    """
    Follows the containers of *pods*: `poll` gives what is new to the sink.

    `begin_at` says where one begins that is known already; those that come later begin at their beginning.
    """

    def __init__(self, folder: Path, pods: Sequence[LinePod], containers: Sequence[str]) -> None:
        self._folder = folder
        self._pods = pods
        self._containers = containers
        self._open: dict[tuple[int, str], _Container] = {}
        self._known: dict[tuple[int, str], list[Instance]] = {}
        """The instances that there were at the last look."""
        self._seen: set[int] = set()
        self._turn = 0
        self._look_at = 0.0
        self._gone_since: dict[int, float] = {}
        self.left_out = 0
        """Containers that are not followed: more than MAX_FILES."""
        self._skipped = 0

    @property
    def has_ended(self) -> bool:
        """Tell whether no pod is there any more, and nothing is left to read."""
        now = time.monotonic()
        gone = [
            pod
            for pod, since in self._gone_since.items()
            if now - since > (_LINGER_SECONDS if pod in self._seen else _START_SECONDS)
        ]
        return len(gone) == len(self._pods) and not self._open

    def begin_at(self, pod: int, instance: Instance, generation: Generation | None) -> None:
        """Follow *instance* from the end of its last entry in *generation*, of the size that it has there."""
        container = _Container(pod, instance)
        self._seen.add(pod)
        self._open[pod, instance.container] = container
        if generation is None:
            return
        try:
            file = open_generation(generation)
        except OSError:
            return
        end = generation.size if generation.is_gzip else end_of_entries(file.descriptor, generation.size)
        file.close()
        self._use(container, generation, end)

    def poll(self, sink: Sink) -> int:
        """Give what is new to *sink*, in the order of each file; return how many bytes were read."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look(now)
            # Hundreds of pods are looked at less often: at most two hundredths of a core are for it.
            self._look_at = time.monotonic() + max(_LOOK_SECONDS, 50 * (time.monotonic() - now))
        read = 0
        self._turn += 1
        keys = list(self._open)
        first = self._turn % max(1, len(keys))
        for key in keys[first:] + keys[:first]:
            if read >= _MAX_POLL_BYTES:
                break
            container = self._open[key]
            read += self._read(container, sink)
            if container.file is None and container.pod in self._gone_since:
                self._finish(container, sink)
                del self._open[key]
        return read

    def take_skipped(self) -> int:
        """Return how many lines were left out since the last time: they came faster than they were read."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def close(self) -> None:
        """Let go of every file."""
        for container in self._open.values():
            container.close()
        self._open.clear()

    def _look(self, now: float) -> None:
        self._known = {}
        self.left_out = 0
        for index, pod in enumerate(self._pods):
            found = find_instances(self._folder, pod, self._containers).instances
            if not found:
                self._gone_since.setdefault(index, now)
                continue
            self._gone_since.pop(index, None)
            self._seen.add(index)
            for instance in found:
                key = (index, instance.container)
                self._known.setdefault(key, []).append(instance)
                if key in self._open:
                    continue
                if len(self._open) >= MAX_FILES:
                    self.left_out += 1
                    continue
                # Its first instance that is there: the later ones come when that one is read.
                self._open[key] = _Container(index, instance)

    def _read(self, container: _Container, sink: Sink) -> int:
        read = 0
        self._skip(container)
        while read < _MAX_TURN_BYTES and (container.file is not None or self._open_next(container, sink)):
            data = self._more(container)
            if not data:
                if not self._is_left(container):
                    break
                # What came between the last read and the rename: a runtime writes on until it is told to reopen.
                data = self._more(container)
            if data:
                read += len(data)
                self._give(container, data, sink)
            else:
                container.close()
        return read

    def _more(self, container: _Container) -> bytes:
        try:
            data = b"" if container.file is None else container.file.read(_READ_BYTES)
        except (OSError, ValueError):
            return b""
        container.offset += len(data)
        return data

    def _skip(self, container: _Container) -> None:
        """Leave out what a flood put between us and the newest lines: who follows wants to see what is now."""
        file = container.file
        if not isinstance(file, PlainFile):
            return
        try:
            end = os.fstat(file.descriptor).st_size - _KEPT_BYTES
            if end + _KEPT_BYTES - container.offset <= _MAX_BEHIND_BYTES:
                return
            while container.offset < end and (data := self._more(container)):
                self._skipped += data.count(b"\n")
                # The line that the place lies in is not whole.
                container.rest = data[data.rfind(b"\n") + 1 :]
        except OSError:
            return
        container.joiner = Joiner()

    def _is_left(self, container: _Container) -> bool:
        """Tell whether no more comes in the file at whose end we are."""
        if container.is_packed or container.pod in self._gone_since or self._successor(container):
            return True
        try:
            path = self._folder / container.instance.folder / container.instance.live_name
            if path.stat().st_ino == container.inode:
                return False
        except OSError:
            return False  # between the rename and the new file
        return self._next_generation(container) is not None

    def _open_next(self, container: _Container, sink: Sink) -> bool:
        generation = self._next_generation(container)
        if generation is None:
            successor = self._successor(container)
            if not successor:
                return False
            self._finish(container, sink)
            container.instance = successor
            container.identity = 0
            generation = self._next_generation(container)
            if generation is None:
                return False
        return self._use(container, generation, 0)

    def _use(self, container: _Container, generation: Generation, offset: int) -> bool:
        try:
            container.file = open_generation(generation, offset)
            container.inode = os.fstat(container.file.descriptor).st_ino
        except OSError:
            return False
        container.offset = offset
        container.identity, container.is_packed = generation.identity, generation.is_gzip
        return True

    def _next_generation(self, container: _Container) -> Generation | None:
        try:
            generations = generations_of(self._folder, container.instance)
        except OSError:
            # No descriptor is left, or no memory: it is looked for again.
            return None
        if not container.identity:
            return generations[0] if generations else None
        for index, generation in enumerate(generations):
            if generation.identity == container.identity:
                return generations[index + 1] if index + 1 < len(generations) else None
        return next((it for it in generations if it.identity > container.identity), None)

    def _successor(self, container: _Container) -> Instance | None:
        key = (container.pod, container.instance.container)
        later = (it for it in self._known.get(key, ()) if it.restart > container.instance.restart)
        return min(later, key=lambda it: it.restart, default=None)

    def _give(self, container: _Container, data: bytes, sink: Sink) -> None:
        lines = (container.rest + data).split(b"\n")
        container.rest = lines.pop()
        if len(container.rest) > _MAX_LINE_BYTES:
            container.rest = b""
        for entry in container.joiner.feed(lines):
            sink(container.pod, container.instance, entry)

    def _finish(self, container: _Container, sink: Sink) -> None:
        """Give what has no end and will get none."""
        lines, container.rest = [container.rest] if container.rest else [], b""
        for entry in (*container.joiner.feed(lines), *container.joiner.rest()):
            sink(container.pod, container.instance, entry)
