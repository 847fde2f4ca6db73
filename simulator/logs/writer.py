"""
One container's log as a node keeps it, driven by hand: lines, rotations, restarts, the end of its pod.

    log = ContainerLog(folder, LogOf(namespace="shop", pod="web-0", uid="u-1", container="app"))
    log.write(["hello"], "stderr")     log.rotate()     log.restart()     log.remove()

The file is opened for appending, so that a log that is there already goes on.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from simulator.logs.records import Clock, Format
from simulator.logs.rotating import Rotation, rotate


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOf:
    """Whose log it is; *uid* is the config hash for a static pod."""

    namespace: str
    pod: str
    uid: str
    container: str

    def pod_folder(self, root: Path) -> Path:
        """Return the pod's folder below *root* (/var/log/pods)."""
        return root / f"{self.namespace}_{self.pod}_{self.uid}"

    def folder(self, root: Path) -> Path:
        """Return the container's folder below *root*."""
        return self.pod_folder(root) / self.container


class ContainerLog:
    """The log of one container of one pod; not for several threads."""

    def __init__(
        self,
        root: Path,
        of: LogOf,
        *,
        instance: int = 0,
        rotation: Rotation | None = None,
        layout: Format | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.root = root
        self.of = of
        self.instance = instance
        """How often the container was restarted: the N of N.log."""
        self.rotation = rotation or Rotation()
        self._layout = layout or Format()
        self._clock = Clock(now_ns)
        self._now_ns = now_ns
        self._file: int | None = None

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self.of.folder(self.root) / f"{self.instance}.log"

    def open(self) -> None:
        """Make the file, as the runtime does when the container starts; `write` does it by itself."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def write(self, lines: Iterable[str | bytes], stream: str = "stdout", *, ended: bool = True) -> int:
        """
        Write *lines*, none of which holds a line feed; return the bytes written.

        Not *ended*: the program was killed in its last line, which stays a P without an F.
        """
        encoded = (line.encode() if isinstance(line, str) else line for line in lines)
        return self.write_raw(b"".join(self._layout.records(encoded, stream, self._clock, ended=ended)))

    def write_raw(self, data: bytes) -> int:
        """Write bytes as they are, for what no runtime would write; return their number."""
        self.open()
        assert self._file is not None  # noqa: S101 - open made it
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        return written

    @property
    def size(self) -> int:
        """Bytes in the file that is written; 0 when there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def rotate(self, between: Callable[[], None] | None = None) -> Path:
        """
        Rotate now; return where the generation went.

        *between* runs after the rename and before the runtime reopens: what is written then goes into the renamed file.
        """
        self.open()

        def reopen() -> None:
            if between is not None:
                between()
            self.close()
            self.open()

        now = datetime.fromtimestamp(self._now_ns() / 1e9).astimezone()
        return rotate(self.path, self.rotation, now=now, reopen=reopen)

    def rotate_if_due(self) -> bool:
        """Rotate if the file is as large as that; tell whether."""
        if self.size < self.rotation.max_bytes:
            return False
        self.rotate()
        return True

    def restart(self, instance: int | None = None) -> None:
        """Begin the next *instance*; of the dead ones the kubelet keeps the last (maximum-dead-containers 1)."""
        self.close()
        self.instance = self.instance + 1 if instance is None else instance
        keep = self.instance - 1
        for file in self.of.folder(self.root).glob("*.log*"):
            number = file.name.partition(".")[0]
            if number.isdigit() and int(number) < keep:
                file.unlink()
        self.open()

    def remove(self) -> None:
        """Take the pod's folder away, as the kubelet does once the pod object is gone."""
        self.close()
        shutil.rmtree(self.of.pod_folder(self.root), ignore_errors=True)

    def close(self) -> None:
        """Let go of the file; the next write opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
