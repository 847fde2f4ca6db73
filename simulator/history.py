"""
The history of every write, append-only, in a file that outlives kill -9.

The file is a row of frames: four bytes of length, then a zstd frame of NDJSON lines (one `Record` a line). A
frame that was cut by a kill is cut off when the file is opened: nobody was told of its writes. Without a folder
the same frames are kept in memory. It is also the oracle of tests: what a watcher must have seen.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import zstandard

from simulator.errors import BadHistory

RESTORED, COMPACTED, CLUSTER, TOUCHED = "RESTORED", "COMPACTED", "CLUSTER", "TOUCHED"
"""Types of lines besides ADDED, MODIFIED and DELETED."""

_MAGIC = b"kubescribe-simulator-history-1\n"
_LENGTH_BYTES = 4
_OBJECT_MARK = b',"object":'
_RESTORED_MARK = b'"type":"RESTORED"'
"""Neither can stand in an object: there, quotes are escaped."""


class Record(msgspec.Struct, frozen=True):
    """One line. `era` is the number of restores before it; `identity` tells clusters apart."""

    revision: int
    era: int
    type: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    identity: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")

    def body(self) -> Any:
        """Return the object decoded, without kind and apiVersion; None where the line is about no object."""
        return msgspec.json.decode(self.object)


_decode = msgspec.json.Decoder(Record).decode


class History:
    """Frames of NDJSON lines, in a file or in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._frames: list[bytes] = []
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()

    def open(self) -> None:
        """
        Open the file for appending, and cut off a frame that was not written to its end.

        Raises BadHistory when the file is something else, or another process has it.
        """
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = self._path.open("a+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise BadHistory(f"{self._path} is in use by another pretend cluster") from error
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            if not _MAGIC.startswith(magic):
                self.close()
                raise BadHistory(f"{self._path} is not a history of a pretend cluster: move it away")
            file.truncate(0)
            file.write(_MAGIC)
            return
        end = len(_MAGIC)
        while end + _LENGTH_BYTES <= size:
            file.seek(end)
            length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
            if end + _LENGTH_BYTES + length > size:
                break
            end += _LENGTH_BYTES + length
        file.truncate(end)

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines as one frame; they are in the kernel's hands when this returns."""
        frame = self._compressor.compress(b"".join(lines))
        if self._file is None:
            self._frames.append(frame)
        else:
            self._file.write(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)

    def blocks(self) -> Iterator[bytes]:
        """Yield the lines written so far, frame by frame."""
        if self._path is None or self._file is None:
            yield from (self._decompressor.decompress(frame) for frame in list(self._frames))
            return
        with self._path.open("rb") as file:
            file.seek(len(_MAGIC))
            while len(head := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
                yield self._decompressor.decompress(file.read(int.from_bytes(head, "big")))

    def records(self) -> Iterator[Record]:
        """Yield every line, oldest first."""
        for block in self.blocks():
            for line in block.splitlines():
                yield record_of(line)


def record_of(line: bytes) -> Record:
    """Return a line as a record without looking into its object, which is most of it and always stands last."""
    head, mark, body = line.partition(_OBJECT_MARK)
    if not mark:
        return _decode(line)
    record = _decode(head + b"}")
    msgspec.structs.force_setattr(record, "object", msgspec.Raw(body[: body.rindex(b"}")]))
    return record


def judged(history: History, up_to: int | None = None) -> Iterator[tuple[Record, bool]]:
    """
    Yield every line, oldest first, and whether it survives: no later restore undid it, nor is it beyond *up_to*.

    A restore to R undoes all writes before it whose revision is above R.
    """
    targets = list(_restores(history))
    for number, record in enumerate(history.records()):
        while targets and targets[0][0] <= number:
            targets.pop(0)
        limits = [target for _, target in targets]
        if up_to is not None:
            limits.append(up_to)
        yield record, not limits or record.revision <= min(limits)


def _restores(history: History) -> Iterator[tuple[int, int]]:
    """Yield the line numbers and the targets of all restores; a quick look, as there are few or none."""
    number = 0
    for block in history.blocks():
        if _RESTORED_MARK in block:
            for offset, line in enumerate(block.splitlines()):
                if _RESTORED_MARK in line:
                    yield number + offset, record_of(line).revision
        number += block.count(b"\n")
