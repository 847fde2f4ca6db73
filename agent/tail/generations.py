"""
The files of one instance of a container, oldest first, and reading one of them from any place of its text.

A rotation renames the file, the next one compresses it, and a new file may get the old one's inode: what stays is its
first line, whose time (the runtime stamps nanoseconds) tells the files of an instance apart. Places are counted in the
uncompressed text. All of it waits for the disk: not for the loop.
"""

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from agent.tail.parsing import parse_line
from agent.tail.paths import Instance, parse_file_name

_HEAD_BYTES = 64
"""Holds the time and stream of any CRI line; of a line in no known format so many bytes are its identity."""

_FIRST_LINE_BYTES = 128 * 1024
"""The longest first line of Docker's, whose time is at its end: 16 KiB of text, each byte escaped with six."""

_GZIP = 31
"""Of zlib: a window of 32 KiB, with gzip's header and trailer."""

_PACKED_BYTES = 64 * 1024

REFUSED_FOR_NOW = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))
"""What the system does not give now: nothing is known of a file then, and it is not passed over."""

_TRIES = 5
"""Of listing a folder in which files are renamed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """
    One file of an instance.

    `rotated` is its suffix, "" for the file that is being written. `identity` is the time of its first line,
    nanoseconds; of a line without a time, minus a checksum of its first bytes. `size` is that of its text; of a
    compressed file as its trailer tells it, modulo 4 GiB. One that has no name any more is open as `descriptor`.
    """

    path: str
    rotated: str
    is_gzip: bool
    identity: int
    size: int
    descriptor: int = -1


class GenerationFile(Protocol):
    """One open file of an instance; it stays readable when it is renamed, compressed or deleted."""

    @property
    def descriptor(self) -> int:
        """The open file, -1 once it is closed."""
        ...

    def read(self, size: int) -> bytes:
        """Return what comes next, at most *size* bytes; nothing at its end, for now. Raises OSError, ValueError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def list_generations(folder: Path, instance: Instance) -> list[Generation]:
    """
    Return the files of *instance* below *folder* (that of all logs) that have a first line, oldest first.

    What vanishes meanwhile is left out, and so is a file that cannot be read. Raises OSError when that is so for now.
    """
    path = f"{folder}/{instance.folder}"
    for _ in range(_TRIES):
        before = changed_at(path)
        generations, is_whole = _list(path, instance.restart)
        # Who is renamed while names are read may be seen under both, or under none.
        if is_whole and before == changed_at(path):
            break
    return generations


def _list(folder: str, restart: int) -> tuple[list[Generation], bool]:
    """Return the files, and whether none of them vanished meanwhile."""
    found: dict[str, tuple[str, bool]] = {}
    for name in _names(folder):
        file = parse_file_name(name)
        if file is None or file.restart != restart:
            continue
        # Between compressing a file and removing it both are there: the same text, and the plain one is read faster.
        if file.rotated not in found or not file.is_gzip:
            found[file.rotated] = (name, file.is_gzip)
    # The suffix is a time, and the file without one is the youngest.
    ordered = sorted(found.items(), key=lambda item: (not item[0], item[0]))
    generations = []
    is_whole = True
    for rotated, (name, is_gzip) in ordered:
        path = f"{folder}/{name}"
        generation = look_at(path, rotated=rotated, is_gzip=is_gzip)
        if generation is not None:
            generations.append(generation)
        elif not os.access(path, os.F_OK):
            is_whole = False
    if all(generation.identity > 0 for generation in generations):
        # It is local time, in which an hour comes twice a year again; the lines' is not.
        generations.sort(key=lambda it: (not it.rotated, it.identity))
    return generations, is_whole


def changed_at(folder: str) -> int:
    """Return when *folder* was changed last, nanoseconds; 0 when it is not there."""
    status = status_of(folder)
    return status.st_mtime_ns if status is not None else 0


def status_of(path: str) -> os.stat_result | None:
    """Return what the system tells of *path*; None when it is not there."""
    try:
        return os.stat(path)  # noqa: PTH116 - of thousands of files, twice a second: an object for each costs
    except OSError:
        return None


def has_files(folder: Path, instance: Instance) -> bool:
    """Tell whether *instance* has a file below *folder*, readable or not. Raises OSError when that cannot be told."""
    try:
        with os.scandir(f"{folder}/{instance.folder}") as entries:
            files = [parse_file_name(entry.name) for entry in entries]
    except FileNotFoundError:
        return False
    return any(file is not None and file.restart == instance.restart for file in files)


def can_be_read(folder: Path, instance: Instance) -> bool:
    """Tell whether every file of *instance* below *folder* can be opened. Raises OSError when that cannot be told."""
    path = f"{folder}/{instance.folder}"
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries]
    files = [name for name in names if (file := parse_file_name(name)) and file.restart == instance.restart]
    try:
        for name in files:
            os.close(os.open(f"{path}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def look_at(path: str, *, rotated: str, is_gzip: bool) -> Generation | None:
    """Return the file at *path*; None when it is gone, has no first line yet, or is no file. Raises OSError for now."""
    try:
        # What is no file, a named pipe, would keep the thread waiting for whoever writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in REFUSED_FOR_NOW:
            raise
        return None
    try:
        found = look_into(descriptor, is_gzip=is_gzip)
    finally:
        os.close(descriptor)
    return found and replace(found, path=path, rotated=rotated, descriptor=-1)


def look_into(descriptor: int, *, is_gzip: bool) -> Generation | None:
    """Return the open file *descriptor*; None when it has no first line yet, is damaged, or is no file."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        identity = identity_of(open_head_of(descriptor, is_gzip=is_gzip))
        size = _unpacked_size(descriptor, status.st_size) if is_gzip else status.st_size
    except OSError:
        return None
    if identity is None:
        return None
    return Generation(path="", rotated="", is_gzip=is_gzip, identity=identity, size=size, descriptor=descriptor)


def identity_of(head: bytes) -> int | None:
    """Return the identity of the file that begins with *head*, None when it is too short to tell."""
    line, newline, _ = head.partition(b"\n")
    if not newline and len(head) < _HEAD_BYTES:
        return None
    if line.startswith(b"{") and not newline and len(head) < _FIRST_LINE_BYTES:
        return None
    at = parse_line(line if line.startswith(b"{") else line[:_HEAD_BYTES]).at
    return at if at is not None else -zlib.crc32(line[:_HEAD_BYTES])


def head_of(descriptor: int) -> bytes:
    """Return as much of an open file's beginning as its identity needs."""
    head = os.pread(descriptor, _HEAD_BYTES, 0)
    return os.pread(descriptor, _FIRST_LINE_BYTES, 0) if head.startswith(b"{") else head


def open_head_of(descriptor: int, *, is_gzip: bool) -> bytes:
    """As `head_of`, of a file that may be compressed; nothing of a damaged one. Raises OSError."""
    if not is_gzip:
        return head_of(descriptor)
    try:
        return _unpacked_head(descriptor)
    except zlib.error:
        return b""


def open_generation(generation: Generation, offset: int = 0) -> GenerationFile:
    """
    Open *generation* at byte *offset* of its text.

    Raises FileNotFoundError when it is gone by now, also when another file has its name, and OSError.
    """
    if generation.descriptor >= 0:
        descriptor = os.dup(generation.descriptor)
    else:
        descriptor = os.open(generation.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        identity = identity_of(open_head_of(descriptor, is_gzip=generation.is_gzip))
    except OSError:
        identity = None
    if identity != generation.identity:
        os.close(descriptor)
        raise FileNotFoundError(f"{generation.path} is another file by now")
    return PackedFile(descriptor, offset) if generation.is_gzip else PlainFile(descriptor, offset)


class PlainFile:
    """A file as it was written."""

    __slots__ = ("_descriptor", "_offset")

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._offset = offset

    @property
    def descriptor(self) -> int:
        """The open file, -1 once it is closed."""
        return self._descriptor

    def read(self, size: int) -> bytes:
        """Return what comes next, at most *size* bytes; nothing at its end, for now."""
        data = os.pread(self._descriptor, size, self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PackedFile:
    """A file that was compressed after its rotation; it does not grow any more."""

    __slots__ = ("_descriptor", "_left", "_pieces", "_skip")

    def __init__(self, descriptor: int, offset: int = 0) -> None:
        self._descriptor = descriptor
        self._pieces = _unpacked(descriptor)
        self._left = b""
        self._skip = offset

    @property
    def descriptor(self) -> int:
        """The open file, -1 once it is closed."""
        return self._descriptor

    def read(self, size: int) -> bytes:
        """Return what comes next, at most *size* bytes; nothing at its end. Raises ValueError for a damaged file."""
        while not self._left:
            try:
                piece = next(self._pieces, b"")
            except zlib.error as error:
                raise ValueError(f"a damaged gzip file: {error}") from error
            if not piece:
                return b""
            self._left = piece[self._skip :]
            self._skip -= min(self._skip, len(piece))
        data, self._left = self._left[:size], self._left[size:]
        return data

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _unpacked(descriptor: int, piece_bytes: int = 256 * 1024) -> Iterator[bytes]:
    """Yield the text of a gzip file, in pieces of at most *piece_bytes*; several members are one text."""
    at, packed = 0, b""
    unpacker = zlib.decompressobj(_GZIP)
    while True:
        if not packed:
            packed = os.pread(descriptor, _PACKED_BYTES, at)
            at += len(packed)
            if not packed:
                # Of a torn file whatever can be had.
                if last := unpacker.flush():
                    yield last
                return
        piece = unpacker.decompress(packed, piece_bytes)
        packed = unpacker.unconsumed_tail
        if unpacker.eof:
            packed = unpacker.unused_data
            unpacker = zlib.decompressobj(_GZIP)
        if piece:
            yield piece


def _unpacked_head(descriptor: int) -> bytes:
    head = next(_unpacked(descriptor, _HEAD_BYTES), b"")
    if not head.startswith(b"{"):
        return head
    return next(_unpacked(descriptor, _FIRST_LINE_BYTES), b"")


def _unpacked_size(descriptor: int, packed_size: int) -> int:
    # The last four bytes of a member: the size of its text (RFC 1952). The kubelet writes one member a file.
    return int.from_bytes(os.pread(descriptor, 4, max(0, packed_size - 4)), "little")


def _names(folder: str) -> list[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []
