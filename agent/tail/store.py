"""
What the tailer knows across restarts: how far each instance is in Loki, and under which names its lines go there.

One file of lines, each with its checksum, written at its end and synced; now and then it is written anew, small. A line
that was torn by a crash, and what follows it, never was: lines of logs are then sent again, as the same bytes. All of
it waits for the disk: not for the loop.
"""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.tail.joining import Place
from agent.tail.paths import Instance
from kubescribe.labels.enriching import Enrichment

_SMALL_BYTES = 2**20


class Saved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    One line: what is new of an instance, or `since` at the head of the file.

    `place` is (file, offset, last_at) of what is acknowledged; `is_done` that nothing is left to be read, `is_gone`
    that its files are no more. `frozen_at` is when `enrichment` was decided.
    """

    since: int | None = None
    instance: Instance | None = None
    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: tuple[int, int, int] | None = None
    is_done: bool = False
    is_gone: bool = False


@dataclass(slots=True, kw_only=True)
class Kept:
    """What is known of an instance."""

    enrichment: Enrichment | None = None
    frozen_at: int = 0
    place: Place | None = None
    is_done: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Saved)


class TailStore:
    """
    The state of the tailer in *path*.

    `since` is from when on lines are wanted of files that were there before the agent was; it is decided once.
    """

    def __init__(self, path: Path, *, since: int) -> None:
        self._path = path
        self.instances: dict[Instance, Kept] = {}
        self.since = since
        self._size = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._read()
        self._rewrite()

    def write(self, news: Sequence[Saved]) -> None:
        """Keep *news*: when this returns they are on disk. Raises OSError; then they are kept by the next write."""
        for saved in news:
            self._take(saved)
        lines = b"".join(map(_line, news))
        if self._size + len(lines) > _SMALL_BYTES and self._size > 4 * self._live_bytes:
            self._rewrite()
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            # At the place where the last whole line ended: what a full disk cut off is written over.
            written = 0
            while written < len(lines):
                written += os.pwrite(descriptor, lines[written:], self._size + written)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._size += len(lines)

    def _take(self, saved: Saved) -> None:
        if saved.since is not None:
            self.since = saved.since
        if saved.instance is None:
            return
        instance = Instance(*saved.instance)
        if saved.is_gone:
            self.instances.pop(instance, None)
            return
        kept = self.instances.setdefault(instance, Kept())
        if saved.enrichment is not None:
            kept.enrichment, kept.frozen_at = saved.enrichment, saved.frozen_at
        if saved.place is not None:
            kept.place = Place(0, *saved.place)
        kept.is_done = saved.is_done

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in data.split(b"\n")[:-1]:
            checksum, _, text = line.partition(b" ")
            if checksum != b"%08x" % zlib.crc32(text):
                return
            try:
                self._take(_DECODER.decode(text))
            except msgspec.MsgspecError:
                return

    def _rewrite(self) -> None:
        lines = [_line(Saved(since=self.since))]
        for instance, kept in self.instances.items():
            place = None if kept.place is None else (kept.place.file, kept.place.offset, kept.place.last_at)
            lines.append(
                _line(
                    Saved(
                        instance=instance,
                        enrichment=kept.enrichment,
                        frozen_at=kept.frozen_at,
                        place=place,
                        is_done=kept.is_done,
                    )
                )
            )
        data = b"".join(lines)
        draft = self._path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._size = self._live_bytes = len(data)


def _line(saved: Saved) -> bytes:
    text = _ENCODER.encode(saved)
    return b"%08x %s\n" % (zlib.crc32(text), text)
