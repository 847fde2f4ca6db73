"""
The segment files: append, read, acknowledge, drop the oldest. Synchronous, for one thread at a time; no asyncio here.

A segment is named by its first frame. Nothing is fsynced frame by frame: a frame's marks lie in the frame, so what a
power failure takes, it takes together with the resume point, and the API server is asked for it again. Only the order
matters: a segment is synced before its successor is made, and state.json is durable before a segment is deleted.
"""

import contextlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from agent.spool.folder import HISTORY, Deleted, Folder, State
from agent.spool.frames import Frame, encode_frame, frames_in
from agent.spool.ledger import SPOOL_DAMAGED, Ledger, Span
from agent.spool.limits import SpoolLimits
from agent.spool.marks import StreamMark
from kubescribe.runtime.room import RoomOf, room_of

_LOG = structlog.get_logger()
MAX_MARKS = 4096
"""Streams come and go with nodes; beyond this many, the marks longest unseen are forgotten."""


@dataclass(slots=True)
class Segment:
    """One file: frames `first_n` to `last_n` (below first_n when empty), and when they were observed."""

    path: Path
    first_n: int
    last_n: int
    size: int = 0
    records: int = 0
    first_at: int = 0
    last_at: int = 0
    marks: dict[str, StreamMark] = field(default_factory=dict)

    def note(self, frame: Frame, size: int) -> None:
        """Count *frame*, of *size* bytes on disk, as this segment's last."""
        self.last_n = frame.n
        self.size += size
        self.records += frame.count
        for mark in frame.head.marks:
            self.marks[mark.stream] = mark
        for span in frame.head.spans:
            self.first_at = min(self.first_at or span.first_at, span.first_at)
            self.last_at = max(self.last_at, span.last_at)


class SegmentStore:
    """The frames on disk, in order. `load` first; every method may raise OSError unless it says otherwise."""

    def __init__(
        self, folder: Folder, limits: SpoolLimits, *, clock: Callable[[], int], room: RoomOf = room_of
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._room = room
        self._segments: list[Segment] = []
        self._active: int | None = None
        self._cursor: tuple[int, Path, int] = (0, folder.path, 0)
        self._state_is_stale = False
        self.state = State()
        self.marks: dict[str, StreamMark] = {}
        self.acknowledged = 0
        self.torn_bytes = 0

    @property
    def last_n(self) -> int:
        """The number of the newest frame ever written here, 0 for none."""
        return self._segments[-1].last_n if self._segments else self.state.deleted_through

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    @property
    def records(self) -> int:
        """Records not acknowledged; of the segment that is acknowledged in part, by the share of its frames."""
        return sum(math.ceil(one.records * self._unacknowledged(one)) for one in self._segments)

    @property
    def oldest_at(self) -> int | None:
        """When the oldest record that is not acknowledged was observed; within a segment, as if evenly spread."""
        for one in self._segments:
            if one.first_at and (share := self._unacknowledged(one)):
                return one.last_at - int((one.last_at - one.first_at) * share)
        return None

    @property
    def settling(self) -> bool:
        """Tell whether something dropped is not yet told as Gaps."""
        return bool(self.state.ledger)

    def load(self) -> None:
        """Read what is there: cut torn tails, rebuild the marks, find holes in the numbering and enter them as lost."""
        self.state = self._folder.read_state() or State(created_at=self._clock())
        self.acknowledged = self.state.deleted_through
        self.marks = dict(self.state.marks)
        ledger = self.state.ledger
        previous_at = self.state.acknowledged[-1].at if self.state.acknowledged else self.state.created_at
        for path in sorted(self._folder.path.glob("*.seg")):
            segment = self._scan(path)
            expected = self.last_n + 1
            if segment.last_n < max(segment.first_n, expected):
                path.unlink()  # empty, or deleted through already
                continue
            if segment.first_n > expected:
                ledger = ledger.with_dropped(expected, self._lost(previous_at, segment.first_at), ())
                _LOG.warning("spool.hole_found", first=expected, last=segment.first_n - 1)
            self.marks.update(segment.marks)
            self._segments.append(segment)
            previous_at = segment.last_at or previous_at
        if self._segments:
            last = self._segments[-1]
            self._active = os.open(last.path, os.O_WRONLY | os.O_CLOEXEC)
            os.lseek(self._active, last.size, os.SEEK_SET)
        self._save(ledger=ledger)

    def append(self, frame: Frame) -> None:
        """Write *frame*, which must be the next; drop the oldest segments first when there is no room for it."""
        data = encode_frame(frame)
        self.make_room(len(data))
        self._write(frame, data)

    def append_unbounded(self, frames: list[Frame]) -> None:
        """Write *frames* without dropping anything: for the Gaps of a ledger, after `make_room`."""
        for frame in frames:
            self._write(frame, encode_frame(frame))

    def clear_ledger(self) -> None:
        """Forget the ledger: its Gaps are in a frame now. Never raises; a stale file repeats the same Gaps' ids."""
        self._save_or_remember(ledger=Ledger())

    def enter(self, spans: tuple[Span, ...]) -> None:
        """Enter *spans* as lost without a segment (the journal lost what was acknowledged)."""
        self._save_or_remember(ledger=self.state.ledger.with_dropped(self.last_n + 1, spans, ()))

    def make_room(self, wanted: int) -> None:
        """Drop oldest segments until *wanted* bytes fit."""
        while self._segments and self.size + wanted > self._limit():
            self.drop_oldest()

    def drop_oldest(self) -> bool:
        """Delete the oldest segment; enter its unacknowledged records in the ledger. False if there is none."""
        if not self._segments:
            return False
        segment = self._segments[0]
        ledger = self.state.ledger
        dropped = 0
        if segment.last_n > self.acknowledged:
            ledger, dropped = self._entered(segment, ledger)
            _LOG.warning("spool.segment_dropped", first=segment.first_n, last=segment.last_n, records=dropped)
        self._forget(segment, ledger=ledger, dropped=self.state.dropped + dropped)
        return True

    def acknowledge(self, n: int) -> None:
        """Note that frames up to *n* are in the journal; delete the segments that hold nothing else."""
        self.acknowledged = max(self.acknowledged, min(n, self.last_n))
        if self._state_is_stale:
            self._save()
        while self._segments and self._segments[0].last_n <= self.acknowledged:
            segment = self._segments[0]
            if segment is self._segments[-1] and segment.size < self._segment_bytes() // 8:
                return
            history = (*self.state.acknowledged, Deleted(n=segment.last_n, at=segment.last_at))[-HISTORY:]
            self._forget(segment, acknowledged=history)

    def read(self, after: int, max_bytes: int) -> list[Frame]:
        """Return frames behind number *after*, in order, about *max_bytes* of them; at least one if there is any."""
        segment = next((one for one in self._segments if one.last_n > after), None)
        if segment is None:
            return []
        frames = self._frames(segment, after, max_bytes)
        if not frames:
            raise OSError(f"spool: {segment.path.name} no longer holds frame {after + 1}")
        return frames

    def give_up(self, after: int) -> None:
        """Drop everything up to the end of the segment that should hold the frame behind *after*: it is damaged."""
        damaged = next((one for one in self._segments if one.last_n > after), None)
        while damaged is not None and damaged in self._segments:
            self.drop_oldest()

    def rewind(self, n: int) -> None:
        """Take back acknowledgements behind *n*: the aggregator no longer has those frames."""
        self.acknowledged = min(self.acknowledged, n)

    def close(self) -> None:
        """Sync and close the active segment. Does not raise."""
        if self._active is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._active)
            os.close(self._active)
            self._active = None

    def spans_of_everything(self, first_at: int, last_at: int, cause: str) -> tuple[Span, ...]:
        """Return a span of each known stream: for a loss of which only the time is known."""
        streams = list(self.marks) or [""]
        return tuple(
            Span(stream=stream, count=0, first_at=first_at, last_at=last_at, needs_snapshot=True, cause=cause)
            for stream in streams
        )

    def _unacknowledged(self, segment: Segment) -> float:
        frames = segment.last_n - segment.first_n + 1
        return min(max(segment.last_n - self.acknowledged, 0) / frames, 1.0) if frames else 0.0

    def _frames(self, segment: Segment, after: int, max_bytes: int) -> list[Frame]:
        start, previous = 0, None
        data = b""
        if self._cursor[:2] == (after, segment.path):
            start, previous = self._cursor[2], after
            data = _bytes_of(segment.path, min(segment.size, start + 2 * max_bytes), start)
        frames: list[Frame] = []
        for placed in frames_in(data or _bytes_of(segment.path, segment.size, 0), after=previous):
            if placed.frame.n <= after:
                continue
            frames.append(placed.frame)
            self._cursor = (placed.frame.n, segment.path, start + placed.end)
            max_bytes -= len(placed.frame.batch)
            if max_bytes <= 0:
                break
        if not frames and previous is not None:
            self._cursor = (0, segment.path, 0)
            return self._frames(segment, after, max_bytes)
        return frames

    def _lost(self, first_at: int, last_at: int) -> tuple[Span, ...]:
        return self.spans_of_everything(first_at, max(first_at, last_at or self._clock()), SPOOL_DAMAGED)

    def _limit(self) -> int:
        if self._room(self._folder.path).is_below(self._limits.free_floor):
            return max(min(self.size, self._limits.max_bytes), self._limits.floor_bytes)
        return self._limits.max_bytes

    def _segment_bytes(self) -> int:
        return max(min(self._limits.segment_bytes, self._limit() // 8), 4096)

    def _scan(self, path: Path) -> Segment:
        first_n = int(path.stem)
        segment = Segment(path, first_n, first_n - 1)
        data = path.read_bytes()
        for placed in frames_in(data, after=first_n - 1):
            segment.note(placed.frame, placed.end - segment.size)
        if segment.size < len(data):
            self.torn_bytes += len(data) - segment.size
            _LOG.warning("spool.tail_cut", segment=path.name, bytes=len(data) - segment.size)
            os.truncate(path, segment.size)
        return segment

    def _write(self, frame: Frame, data: bytes) -> None:
        if self._state_is_stale:
            self._save()
        segment = self._segments[-1] if self._segments else None
        if segment is None or self._active is None or segment.size + len(data) > self._segment_bytes():
            segment = self._begin(frame.n)
        try:
            _write_all(self._active_file(), data)
        except OSError:
            # A retry writes at the same place; should this fail too, the next load cuts the torn tail.
            with contextlib.suppress(OSError):
                os.ftruncate(self._active_file(), segment.size)
            with contextlib.suppress(OSError):
                os.lseek(self._active_file(), segment.size, os.SEEK_SET)
            raise
        segment.note(frame, len(data))
        self.marks.update((mark.stream, mark) for mark in frame.head.marks)

    def _active_file(self) -> int:
        if self._active is None:
            raise OSError("spool: no segment is open")
        return self._active

    def _begin(self, n: int) -> Segment:
        if self._segments and self._segments[-1].last_n < self._segments[-1].first_n:
            self._segments.pop().path.unlink(missing_ok=True)  # begun, and its first write failed
        self.close()
        path = self._folder.path / f"{n:020d}.seg"
        self._active = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._folder.sync()
        segment = Segment(path, n, n - 1)
        self._segments.append(segment)
        return segment

    def _entered(self, segment: Segment, ledger: Ledger) -> tuple[Ledger, int]:
        dropped = 0
        seen = self.acknowledged
        with contextlib.suppress(OSError):
            for placed in frames_in(_bytes_of(segment.path, segment.size, 0)):
                if placed.frame.n > self.acknowledged:
                    ledger = ledger.with_dropped(placed.frame.n, placed.frame.head.spans, placed.frame.head.gaps)
                    dropped += placed.frame.count
                    seen = placed.frame.n
        if seen < segment.last_n:
            ledger = ledger.with_dropped(seen + 1, self._lost(segment.first_at, segment.last_at), ())
        return ledger, dropped

    def _forget(self, segment: Segment, **changes: object) -> None:
        if segment is self._segments[-1]:
            self.close()
        marks = {**self.state.marks, **segment.marks}
        if len(marks) > MAX_MARKS:
            newest = sorted(marks.values(), key=lambda mark: mark.seen_at)[-MAX_MARKS:]
            marks = {mark.stream: mark for mark in newest}
        changes = {"deleted_through": max(segment.last_n, self.state.deleted_through), "marks": marks, **changes}
        # On a full disk there is no room for the new state.json before the segment goes. Dying in between leaves a
        # hole in the numbering, which `load` finds and enters.
        self._save_or_remember(**changes)
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)
        if self._state_is_stale:
            self._save_or_remember()

    def _save(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        self._state_is_stale = True
        self._folder.write_state(self.state)
        self._state_is_stale = False

    def _save_or_remember(self, **changes: object) -> None:
        try:
            self._save(**changes)
        except OSError as error:
            _LOG.warning("spool.state_not_written", error=str(error))


def _bytes_of(path: Path, size: int, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size - start)


def _write_all(descriptor: int, data: bytes) -> None:
    view: memoryview = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
