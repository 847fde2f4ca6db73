"""
Bodies that came before: a shipper whose answer was lost sends the same again, and Loki should not get it twice.

What a body was is a digest of tenant and body; the digests of the last ten minutes are kept, also across a restart:
those of frames that are still spooled lie in the frames, the others in a file that is written when a segment goes.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

import xxhash

KEPT_NS = 600 * 1_000_000_000
MAX_KEPT = 50_000
"""80 pushes a second for ten minutes, 7 MB; a repeat of an older one goes to Loki, which drops it as well."""

DIGEST_BYTES = 16
_ROW = struct.Struct(f">{DIGEST_BYTES}sQ")


def digest_of(tenant: str, path: str, body: bytes) -> bytes:
    """
    Return what tells *body* of *tenant* at *path* from every other that comes by chance.

    Who would make another one of the same digest has to know the body beforehand, to the nanosecond of each line.
    """
    made = xxhash.xxh3_128(f"{tenant}\n{path}\n".encode())
    made.update(body)
    return made.digest()


class Repeats:
    """The digests of the last ten minutes, oldest first. `add` and `knows` may be called from different threads."""

    def __init__(self, known: Iterable[tuple[bytes, int]] = ()) -> None:
        self._at = dict(sorted(known, key=lambda each: each[1]))

    def knows(self, digest: bytes, now_ns: int) -> bool:
        """Tell whether the body came within the last ten minutes."""
        at = self._at.get(digest)
        return at is not None and now_ns - at < KEPT_NS

    def add(self, digest: bytes, at_ns: int) -> None:
        """Remember a body, and forget old ones."""
        self._at.pop(digest, None)
        self._at[digest] = at_ns
        while self._at:
            oldest = next(iter(self._at))
            if len(self._at) <= MAX_KEPT and at_ns - self._at[oldest] < KEPT_NS:
                return
            del self._at[oldest]

    def write(self, path: Path) -> None:
        """Write all to *path*, which is replaced whole. Raises OSError."""
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(b"".join(_ROW.pack(digest, at) for digest, at in list(self._at.items())))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def read_repeats(path: Path) -> list[tuple[bytes, int]]:
    """Return what was written to *path*, nothing where there is none: then a repeat is Loki's to drop."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return list(_ROW.iter_unpack(data[: len(data) // _ROW.size * _ROW.size]))
