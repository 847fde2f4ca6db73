"""
The history of every write, append-only, in a file that outlives kill -9.

The file is a row of frames: four bytes of length, then a zstd frame of NDJSON lines (one `Record` a line). A
frame that was cut by a kill is cut off when the file is opened: nobody was told of its writes. Without a folder
the same frames are kept in memory. It is also the oracle of tests: what a watcher must have seen.
"""

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


class History:
    """Frames of NDJSON lines, in a file or in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._frames: list[bytes] = []
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()
        self._decode = msgspec.json.Decoder(Record).decode

    def open(self) -> None:
        """
        Open the file for appending, and cut off a frame that was not written to its end.

        Raises BadHistory when the file is something else.
        """
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = self._path.open("a+b", buffering=0)
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            if not _MAGIC.startswith(magic):
                file.close()
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
        """Yield every line, decoded but for its object, oldest first."""
        for block in self.blocks():
            for line in block.splitlines():
                yield self._decode(line)


def surviving(history: History, up_to: int | None = None) -> Iterator[Record]:
    """
    Yield the writes that no later restore undid, oldest first; only those up to a revision, if given.

    A restore to R undoes all writes before it whose revision is above R.
    """
    targets = [(number, record.revision) for number, record in enumerate(history.records()) if record.type == RESTORED]
    for number, record in enumerate(history.records()):
        while targets and targets[0][0] <= number:
            targets.pop(0)
        limit = min((target for _, target in targets), default=record.revision)
        if up_to is not None:
            limit = min(limit, up_to)
        if record.revision <= limit:
            yield record
