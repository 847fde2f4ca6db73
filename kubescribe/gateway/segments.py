"""
One file of the gateway's spool and where its frames lie. Reads files; decides nothing.

A segment is named by the number of its first frame. Frames whose checksum does not agree are passed over: the next one
is found by the length, and what is missing shows as a hole in the numbers.
"""

import os
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubescribe.gateway.frames import MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, Frame, decode_payload
from kubescribe.gateway.waiting import tenant_key
from kubescribe.runtime.framing import frames_from

_PARTS_AT_ONCE = 512
"""Linux takes 1,024 (IOV_MAX)."""


@dataclass(slots=True)
class Segment:
    """A file, its size as far as it is frames, and of each frame its number, time (ns), beginning and tenant's key."""

    path: Path
    size: int = 0
    numbers: "array[int]" = field(default_factory=lambda: array("Q"))
    times: "array[int]" = field(default_factory=lambda: array("Q"))
    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    tenants: "array[int]" = field(default_factory=lambda: array("H"))

    @property
    def last_n(self) -> int:
        """The number of the last frame, 0 for none."""
        return self.numbers[-1] if self.numbers else 0

    @property
    def extents(self) -> Iterator[tuple[int, int, int]]:
        """Of each frame its number, where it begins and where it ends."""
        return zip(self.numbers, self.starts, [*self.starts[1:], self.size], strict=True)

    def bytes_by_tenant(self) -> Counter[int]:
        """Return how much of it is whose, by key."""
        found: Counter[int] = Counter()
        for tenant, (_, start, end) in zip(self.tenants, self.extents, strict=True):
            found[tenant] += end - start
        return found

    def note(self, n: int, at_ns: int, start: int, tenant: int) -> None:
        """Count the frame *n* of *tenant*, by key, that begins at *start*."""
        # The number last: another thread looks it up, and then at the others.
        self.times.append(at_ns)
        self.starts.append(start)
        self.tenants.append(tenant)
        self.numbers.append(n)

    def forget_from(self, index: int) -> None:
        """Count the frames from *index* on no more."""
        for column in (self.numbers, self.times, self.starts, self.tenants):
            del column[index:]

    def read(self, after: int) -> Frame | None:
        """Return the first frame behind number *after*, None when its bytes are damaged. Raises OSError."""
        index = bisect_right(self.numbers, after)
        start = self.starts[index]
        end = self.starts[index + 1] if index + 1 < len(self.starts) else self.size
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
        found = next(frames_from(data, 0, min_bytes=MIN_PAYLOAD_BYTES, max_bytes=MAX_PAYLOAD_BYTES), None)
        frame = decode_payload(found.payload) if found is not None and found.is_whole else None
        return frame if frame is not None and frame.n == self.numbers[index] else None


@dataclass(frozen=True, slots=True)
class Scanned:
    """A segment as found on disk, the digests of its bodies with their times, and bytes that are no frame."""

    segment: Segment
    digests: list[tuple[bytes, int]]
    odd_bytes: int


def scan(path: Path, *, before: int | None) -> Scanned:
    """
    Read the segment at *path*, behind which that with the frame *before* comes, None for the last. Raises OSError.

    A frame that the next one has a place for was refused, and could not be cut off then. Of the last one a body of
    which the last frame is missing is left out: it was torn off, and never acknowledged.
    """
    data = path.read_bytes()
    segment = Segment(path)
    digests: list[tuple[bytes, int]] = []
    is_last = before is None
    start = odd = 0
    whole = whole_size = 0
    for found in frames_from(data, 0, min_bytes=MIN_PAYLOAD_BYTES, max_bytes=MAX_PAYLOAD_BYTES):
        frame = decode_payload(found.payload) if found.is_whole else None
        if frame is not None and before is not None and frame.n >= before:
            data = data[:start]
            break
        if frame is not None and frame.n > segment.last_n:
            segment.note(frame.n, frame.head.at, start, tenant_key(frame.head.tenant))
            digests.append((frame.head.digest, frame.head.at))
            if frame.head.is_last:
                whole, whole_size = len(segment.numbers), found.end
        else:
            odd += found.end - start
        start = found.end
    segment.size = start
    if is_last and whole < len(segment.numbers):
        segment.forget_from(whole)
        del digests[whole:]
        segment.size = whole_size
    return Scanned(segment, digests, odd + (0 if is_last else len(data) - start))


def write_all(descriptor: int, parts: Sequence[bytes]) -> None:
    """Write *parts*, whole, one behind the other. Raises OSError."""
    for start in range(0, len(parts), _PARTS_AT_ONCE):
        some = parts[start : start + _PARTS_AT_ONCE]
        written = os.writev(descriptor, some)
        if written < sum(map(len, some)):
            view = memoryview(b"".join(some))[written:]
            while view:
                view = view[os.write(descriptor, view) :]
