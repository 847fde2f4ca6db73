"""
The spool's files: append durably, read in order, forget what Loki has. Synchronous, for one thread.

    lock      held with flock for the life of the process
    N.seg     frames N and following
    cursor    up to which frame Loki has everything
    final     which frames beyond the cursor Loki has as well
    repeats   digests of bodies whose segments are gone

Nothing is displaced: when there is no room, what comes is refused, and its sender keeps it.
"""

import contextlib
import fcntl
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kubescribe.gateway.compacting import WORTH_SHARE, compact, open_bytes
from kubescribe.gateway.cursor import Cursor
from kubescribe.gateway.errors import Busy, DiskFailed, TooLarge
from kubescribe.gateway.finals import Finals, read_finals
from kubescribe.gateway.frames import Frame, Head, encode_payload
from kubescribe.gateway.repeats import Repeats, read_repeats
from kubescribe.gateway.segments import Segment, scan, write_all
from kubescribe.gateway.waiting import tenant_key
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.framing import framed
from kubescribe.runtime.room import RoomOf, room_of

MIB = 2**20
TENANT_TIMES = 3
"""A tenant may have so many times what is free: three quarters alone, and less when others' is waiting as well."""

FREE_FLOOR = 0.15
"""The kubelet evicts pods at 15 % of free image disk, and a gateway must not be the cause."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolLimits:
    """The bytes on disk, those of a segment, and the share of the disk (bytes and inodes) that stays free."""

    max_bytes: int = 256 * MIB
    free_floor: float = FREE_FLOOR

    @property
    def segment_bytes(self) -> int:
        """Space is given back a segment at a time."""
        return max(min(16 * MIB, self.max_bytes // 8), 64 * 1024)


@dataclass(slots=True)
class Losses:
    """What was spooled and cannot be read any more; and the bytes in which it lay, as far as they are known."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFrame:
    """A frame that has no number yet; see Frame for the words."""

    head: Head
    request: bytes
    made: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """A body to be spooled: its frames."""

    frames: Sequence[NewFrame]

    @property
    def size(self) -> int:
        """About what it takes on disk."""
        return sum(len(frame.request) + 128 + 256 * len(frame.head.streams) for frame in self.frames)


@dataclass(slots=True)
class Store:
    """An open folder. Made by `open_store`."""

    folder: Path
    limits: SpoolLimits
    room: RoomOf
    cursor: Cursor
    lock: int
    segments: list[Segment] = field(default_factory=list)
    repeats: Repeats = field(default_factory=Repeats)
    losses: Losses = field(default_factory=Losses)
    held: Counter[int] = field(default_factory=Counter)
    """Bytes of the segments by tenant_key."""
    finals: Finals = field(default_factory=Finals)
    _active: int = -1

    @property
    def size(self) -> int:
        """The bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    @property
    def last_n(self) -> int:
        """The number of the last frame; what was final is never the number of another."""
        return max(self.cursor.n, self.finals.through, self.segments[-1].last_n if self.segments else 0)

    @property
    def oldest_at(self) -> int | None:
        """When the oldest frame came that Loki has not, ns."""
        for segment in tuple(self.segments):
            if segment.last_n > self.cursor.n:
                return segment.times[bisect_right(segment.numbers, self.cursor.n)]
        return None

    def admit(self, size: int, tenant: str = "") -> None:
        """Raise what is to be answered when there is no room for *size* more bytes of *tenant*."""
        if size > self.limits.max_bytes:
            raise TooLarge(f"the spool takes {self.limits.max_bytes} bytes, and this push {size} (gateway.spoolBytes)")
        if self.size + size > self.limits.max_bytes:
            raise Busy("the spool is full, Loki has to take what is in it first")
        try:
            room = self.room(self.folder)
        except OSError as error:
            raise DiskFailed(f"the disk does not answer: {error.strerror}") from error
        if room.is_below(self.limits.free_floor):
            raise DiskFailed(f"less than {self.limits.free_floor:.0%} of the disk or its inodes are free")
        held = self.held[tenant_key(tenant)]
        if held and held + size > TENANT_TIMES * (self.limits.max_bytes - self.size - size):
            raise Busy("the tenant's share of the spool is full, Loki has to take what is in it first")

    def append(self, bodies: Sequence[Body]) -> list[Frame]:
        """Write *bodies*, whole and durably, or none of them, and return their frames. Raises DiskFailed."""
        n = self.last_n
        try:
            segment = self._segment(sum(body.size for body in bodies), n + 1)
            start, noted = segment.size, []
            frames: list[Frame] = []
            held: Counter[int] = Counter()
            parts: list[bytes] = []
            for new in (frame for body in bodies for frame in body.frames):
                n += 1
                data = framed(*encode_payload(n, new.head, new.request))
                key = tenant_key(new.head.tenant)
                noted.append((n, new.head.at, start, key))
                size = sum(map(len, data))
                held[key] += size
                frames.append(Frame(n=n, head=new.head, request=new.request, made=new.made))
                parts += data
                start += size
            self._write(segment, parts)
        except OSError as error:
            raise DiskFailed(f"the disk does not take it: {error.strerror}") from error
        for each in noted:
            segment.note(*each)
        segment.size = start
        self.held.update(held)
        for frame in frames:
            self.repeats.add(frame.head.digest, frame.head.at)
        return frames

    def read(self, after: int) -> Frame | None:
        """Return the first readable frame behind number *after*, None when there is none. Raises OSError."""
        for segment in self.segments:
            while segment.last_n > after:
                frame = segment.read(after)
                if frame is not None:
                    return frame
                after = segment.numbers[bisect_right(segment.numbers, after)]
                self.losses.frames += 1
                _log.error("gateway.frame_damaged", segment=segment.path.name, frame=after)
        return None

    def acknowledge(self, n: int) -> None:
        """Note that Loki has everything up to *n*, durably; delete what holds nothing else. Raises OSError."""
        if n > self.cursor.n:
            self.cursor.move(n)
        gone = [segment for segment in self.segments if segment.last_n <= self.cursor.n]
        # The newest segment is written on until it is full: a few pushes are not worth a file each.
        if gone and gone[-1] is self.segments[-1] and gone[-1].size < self.limits.segment_bytes // 8:
            gone.pop()
        self._delete(gone)

    def release(self, finals: Finals) -> bool:
        """Give back of what is final, but in the newest segment; tell whether that was any. Raises OSError."""
        gone = [
            segment
            for segment in self.segments[:-1]
            if segment.last_n <= finals.through and not finals.open_between(segment.numbers[0], segment.last_n)
        ]
        if gone:
            # First: what is missing without a word is a loss.
            self.keep_finals(finals)
            self._delete(gone)
            return True
        return self.size > self.limits.max_bytes // 2 and self._compact(finals)

    def _compact(self, finals: Finals) -> bool:
        """
        Write the segment anew that has the least in it that is open; one at a time, the disk is others' as well.

        Not the first: where nothing is held up, it is the one that goes next.
        """
        worth = [
            (left, index)
            for index, segment in enumerate(self.segments[1:-1], 1)
            if (left := open_bytes(segment, finals)) <= segment.size * WORTH_SHARE
        ]
        if worth:
            self.keep_finals(finals)
            self._write_repeats()
            index = min(worth)[1]
            old = self.segments[index]
            new = self.segments[index] = compact(old, finals)
            self.held.update(new.bytes_by_tenant())
            self.held.subtract(old.bytes_by_tenant())
            sync_folder(self.folder)
        return bool(worth)

    def keep_finals(self, finals: Finals) -> None:
        """Note durably what is final beyond the cursor. Raises OSError."""
        finals.write(self.folder / "final")
        self.finals = finals

    def _delete(self, gone: Sequence[Segment]) -> None:
        if gone:
            self._write_repeats()
        for segment in gone:
            if segment is self.segments[-1]:
                self._close_active()
            segment.path.unlink(missing_ok=True)
            self.segments.remove(segment)
            self.held.subtract(segment.bytes_by_tenant())

    def close(self) -> None:
        """Close the files and let the folder go; idempotent."""
        self._close_active()
        self.cursor.close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def load(self) -> None:
        """Read what is there. Raises OSError."""
        for begun in self.folder.glob("*.new"):
            if begun.is_file():
                begun.unlink()
        digests = read_repeats(self.folder / "repeats")
        paths = sorted(self.folder.glob("*.seg"))
        self.finals = read_finals(self.folder / "final")
        expected = self.cursor.n
        for path, following in zip(paths, [*paths[1:], None], strict=False):
            scanned = scan(path, before=None if following is None else _first_n(following))
            segment = scanned.segment
            digests += scanned.digests
            self.losses.bytes += scanned.odd_bytes
            for n in segment.numbers:
                if n > expected + 1:
                    self.losses.frames += self.finals.open_between(expected + 1, n - 1)
                expected = max(expected, n)
            if segment.last_n <= self.cursor.n:
                path.unlink()
                continue
            if segment.size < path.stat().st_size:
                _log.warning("gateway.tail_cut", segment=path.name, bytes=path.stat().st_size - segment.size)
                os.truncate(path, segment.size)
            self.segments.append(segment)
            self.held.update(segment.bytes_by_tenant())
        self.repeats = Repeats(digests)
        if self.losses.frames or self.losses.bytes:
            _log.error("gateway.spool_damaged", frames=self.losses.frames, bytes=self.losses.bytes)
        # What was read of segments that are gone now is needed after the next start, too.
        self._write_repeats()

    def _write_repeats(self) -> None:
        """Keep the digests; a disk that is full must not keep us from giving back what is on it."""
        try:
            self.repeats.write(self.folder / "repeats")
        except OSError as error:
            _log.warning("gateway.repeats_not_written", error=str(error))

    def _segment(self, size: int, n: int) -> Segment:
        segment = self.segments[-1] if self.segments else None
        if self._active < 0 or segment is None or (segment.size and segment.size + size > self.limits.segment_bytes):
            self._close_active()
            if segment is not None and not segment.size:
                self.segments.pop().path.unlink(missing_ok=True)
            path = self.folder / f"{n:020d}.seg"
            created = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                sync_folder(self.folder)
            except OSError:
                # Or what comes next would be written there and looked for in the segment before.
                os.close(created)
                raise
            self._active = created
            segment = Segment(path)
            self.segments.append(segment)
        return segment

    def _write(self, segment: Segment, parts: Sequence[bytes]) -> None:
        try:
            write_all(self._active, parts)
            os.fdatasync(self._active)
        except OSError:
            # Nothing of it counts; where even this fails, the next start cuts it, or the next write begins anew.
            with contextlib.suppress(OSError):
                os.ftruncate(self._active, segment.size)
            self._close_active()
            raise

    def _close_active(self) -> None:
        if self._active >= 0:
            os.close(self._active)
            self._active = -1


def open_store(folder: Path, limits: SpoolLimits, *, room: RoomOf = room_of) -> Store:
    """Open or make the spool in *folder*. Raises StartupError with a line that says what to do."""
    lock = -1
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartupError(f"{folder}: another process uses this folder; choose another --data") from error
        store = Store(folder, limits, room, Cursor(folder / "cursor"), lock)
        store.load()
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        raise StartupError(f"{folder}: {error.strerror}; free the disk or choose another --data") from error
    except StartupError:
        os.close(lock)
        raise
    return store


def _first_n(path: Path) -> int | None:
    return int(path.stem) if path.stem.isdigit() else None


def sync_folder(folder: Path) -> None:
    """Make created and deleted names durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
