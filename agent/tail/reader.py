"""
Reads the files of one instance of a container from where it stopped, each line once, through rotation.

A rotation renames the file, and the runtime goes on writing to it until it opens the new one: so the old file is read
until there is something in the new one, and once more to its end. The open file stays readable whatever becomes of its
name. Everything here waits for the disk: it runs in a thread, never on the loop.
"""

import os
from collections.abc import Callable
from pathlib import Path

from agent.tail.chain import Chain
from agent.tail.current import Current
from agent.tail.encoding import LineEncoder, LineNames
from agent.tail.generations import (
    REFUSED_FOR_NOW,
    Generation,
    PlainFile,
    head_of,
    identity_of,
    open_generation,
    status_of,
)
from agent.tail.joining import Place
from agent.tail.looks import Look, Reading
from agent.tail.losing import Cause, Lost
from agent.tail.opening import Opened
from agent.tail.paths import Instance
from agent.tail.retention import Retention
from agent.tail.starting import first_wanted
from kubescribe.labels.enriching import Enrichment
from kubescribe.loki.pushes import Push

BLOCK_BYTES = 256 * 1024

MAX_RAW_LINE_BYTES = 2**20
"""A runtime writes lines of some 100 KiB at most: what has no end for longer is damage, and is divided here."""

PARTIAL_SECONDS = 30.0
"""A line whose end has not come for so long goes out as it is: its process has hung, or died unnoticed."""


class Reader:
    """
    Reads one instance; `resume` is where an earlier life stopped, `since` from when on lines are wanted without one.

    No file of it was there before `made_after`, as far as anybody looked; when it `was_done`, all that was there then
    was read.

    `names` are set before the first `read`; `has_ended` when nothing will be written any more. *retention* is that of
    the node.
    """

    def __init__(
        self,
        folder: Path,
        instance: Instance,
        *,
        resume: Place | None,
        since: int,
        was_done: bool = False,
        made_after: int = 0,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
        retention: Retention | None = None,
    ) -> None:
        self.instance = instance
        self.has_ended = False
        self._chain = Chain(folder, instance, retention or Retention())
        self._resume = resume
        self._was_done = was_done
        self._since = since
        self._made_after = max(since, made_after)
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._names: Enrichment | None = None
        self._first_at = 0
        # What waits for its turn to be read, as thousands do while Loki is away, needs none yet.
        self._encoder: LineEncoder | None = None
        self._current: Current | None = None
        self._lost: list[Lost] = []
        self._grew_at = monotonic()

    @property
    def begins(self) -> Place | None:
        """Where the file that is open was when nothing of it was read yet; None without one."""
        current = self._current
        if current is None:
            return None
        return Place(current.order, current.generation.identity, current.offset, max(0, current.generation.identity))

    @property
    def names(self) -> LineNames | None:
        """What the lines carry; None before the first `read`."""
        return self._encoder.names if self._encoder else None

    @property
    def _last_at(self) -> int:
        return self._encoder.last_at if self._encoder else self._first_at

    @property
    def _live_path(self) -> str:
        return f"{self._chain.path}/{self.instance.live_name}"

    def name(self, names: Enrichment, *, first_at: int) -> None:
        """Take what the lines carry; *first_at* is the time of lines that have none, before the first that has."""
        self._names = names
        self._first_at = self._resume.last_at if self._resume else first_at

    def hold(self, opened: Opened) -> None:
        """Take a file of the instance that was opened when it was found; from any thread."""
        self._chain.handles.add(opened.descriptor, is_gzip=opened.is_gzip)

    def look(self) -> Look:
        """Return how the files are."""
        status = status_of(self._live_path)
        live = (status.st_dev, status.st_ino) if status is not None else None
        self._chain.look_if_changed(live)
        current = self._current or self._begin()
        self._chain.settle()
        # Of a container that starts again and again the kubelet deletes old instances and keeps the folder.
        is_gone = live is None and self._chain.is_gone()
        if current is None:
            # Deleted since it was listed: what is open of it is read at the next look.
            return Look(
                is_gone=is_gone and not self._chain.listing,
                is_unknown=bool(self._chain.listing)
                or (self.has_ended and not is_gone and not self._chain.can_be_read()),
                is_whole=not self._chain.listing and not self._chain.handles.nameless_bytes,
            )
        held, held_files = self._chain.handles.held
        if isinstance(current.file, PlainFile) and current.file.descriptor >= 0:
            status = os.fstat(current.file.descriptor)
            if status.st_size != current.seen:
                self._grew_at = self._monotonic()
            current.seen = status.st_size
            if is_gone and current.offset == current.seen:
                # All of it is on its way, which may take an hour: nobody writes to it any more.
                current.finish()
            elif not status.st_nlink:
                held, held_files = held + status.st_size, held_files + 1
        identity = current.generation.identity
        unread = 0 if current.is_done else max(0, current.seen - current.read_to)
        if current.is_done and self._chain.after(identity) is None:
            # The next file has no line yet, and will have one under the same inode.
            self._chain.look()
        return Look(
            unread=unread + self._chain.unread_after(identity),
            # Of what is gone, `give_up` tells what was lost.
            is_due=bool(unread or (self._lost and not is_gone)) or self._has_more(current, is_gone=is_gone),
            is_gone=is_gone,
            held=held,
            held_files=held_files,
            kept=self._chain.turnover.kept_bytes,
            is_whole=not self._is_within_a_line(current),
        )

    def _has_more(self, current: Current, *, is_gone: bool) -> bool:
        """Tell whether there is something to do but to read what was written."""
        if current.is_done:
            if self._chain.after(current.generation.identity) is not None:
                return True
        elif current.seen < current.read_to or self._is_superseded(current):
            return True
        return self._is_within_a_line(current) and (
            self.has_ended or is_gone or self._monotonic() - self._grew_at > PARTIAL_SECONDS
        )

    def _is_within_a_line(self, current: Current) -> bool:
        return bool(current.fragment) or bool(self._encoder and self._encoder.joiner.is_open)

    def read(self) -> Reading | None:
        """Read and encode the next block; None when there is nothing to be read, for now. The names must be known."""
        if self._encoder is None and self._names is not None:
            self._encoder = LineEncoder(LineNames.of(self._names), last_at=self._first_at)
        current = self._current or self._begin()
        if current is None or self._encoder is None:
            return None
        self._check_truncation(current)
        if self._current is None:
            return None
        # Looked at before the read: what the runtime still wrote to this file was written before the new one had any.
        is_final = self._is_superseded(current)
        if current.is_done:
            return self._go_on(current)
        try:
            data = current.file.read(BLOCK_BYTES)
        except (OSError, ValueError) as error:
            self._tell("logUnreadable", current, size=max(0, current.seen - current.read_to), detail=str(error)[:256])
            data, is_final = b"", True
        if data:
            return self._encode(current, data)
        if is_final:
            current.is_done = True
            return self._end(current) or self._go_on(current)
        return self._left(current)

    def give_up(self) -> list[Lost]:
        """Return what will never be read, because the files are gone; the open one was read to its end."""
        identity = self._current.generation.identity if self._current else 0
        lost = self._lost + self._chain.give_up(identity, now=self._now_ns())
        self._lost = []
        nameless = self._chain.handles.nameless_bytes
        resume = self._resume if self._current is None and not lost else None
        if resume is not None and self._was_done:
            return lost
        if resume is not None:
            lost.append(self._never_read(resume.last_at, f"{resume.file}/{resume.offset}"))
        elif nameless or not (self._current or lost or self._chain.handles.were_empty):
            lost.append(self._never_read(self._made_after, "unopened", nameless or None))
        return lost

    def _never_read(self, start: int, at: str, size: int | None = None) -> Lost:
        """Return what was deleted while nobody looked: what it was, nobody knows."""
        return Lost(cause="logDeleted", start=start, end=self._now_ns(), at=at, size=size)

    def let_go(self) -> None:
        """Stop holding a deleted file on disk: what is unread of it is lost."""
        self._chain.handles.close()
        current = self._current
        if current is None or current.file.descriptor < 0:
            return
        status = os.fstat(current.file.descriptor)
        if not status.st_nlink:
            size = current.seen if current.generation.is_gzip else status.st_size
            # What was read of it is on its way.
            if size > current.offset:
                self._tell("logRotated", current, size=size - current.offset)
            current.finish()

    def close(self) -> None:
        """Close the file."""
        if self._current is not None:
            self._current.file.close()
            self._current = None
        self._chain.handles.close()

    def _begin(self) -> Current | None:
        if not self._chain.listing:
            self._chain.look()
        listing = self._chain.unread
        if not listing:
            return None
        resume = self._resume
        if resume is None:
            wanted, offset = first_wanted(listing, self._since)
            self._chain.begin(wanted.identity)
            return self._open(wanted, offset, order=0)
        found = self._chain.find(resume.file)
        if found is not None:
            self._lost += self._chain.begin_again(found.identity)
            return self._open(found, resume.offset, order=0)
        first = listing[0]
        end = first.identity if first.identity > 0 else self._now_ns()
        at = f"{resume.file}/{resume.offset}"
        current = self._open(first, 0, order=1)
        if current is not None and not self._was_done:
            self._lost.append(Lost(cause="logRotated", start=resume.last_at, end=end, at=at))
        return current

    def _open(self, generation: Generation, offset: int, *, order: int) -> Current | None:
        try:
            file = open_generation(generation, offset)
        except OSError as error:
            if error.errno in REFUSED_FOR_NOW:
                raise
            # Renamed, compressed or deleted since it was listed: the next look finds it.
            self._chain.look()
            return None
        self._chain.handles.drop(generation.identity)
        status = os.fstat(file.descriptor)
        self._current = Current(
            generation=generation,
            file=file,
            inode=(status.st_dev, status.st_ino),
            order=order,
            offset=offset,
            seen=generation.size if generation.is_gzip else status.st_size,
        )
        return self._current

    def _is_superseded(self, current: Current) -> bool:
        """Tell whether nothing is written to *current* any more."""
        if current.generation.is_gzip or self._chain.after(current.generation.identity) is not None:
            return True
        status = status_of(self._live_path)
        return status is not None and status.st_size > 0 and (status.st_dev, status.st_ino) != current.inode

    def _check_truncation(self, current: Current) -> None:
        """Begin anew with a file that was cut from within, as logrotate's copytruncate does."""
        if not isinstance(current.file, PlainFile) or current.is_done:
            return
        size = os.fstat(current.file.descriptor).st_size
        if size >= current.read_to and (
            not current.read_to or identity_of(head_of(current.file.descriptor)) == current.generation.identity
        ):
            return
        self._tell("logTruncated", current, size=max(0, current.seen - current.read_to))
        self._chain.look()
        identity = identity_of(head_of(current.file.descriptor)) if size else None
        if identity is None:
            # Nothing is in it yet: it is found like a new one.
            self._resume, self._current = None, None
            self._chain.drop(current.generation.identity)
            current.file.close()
            return
        descriptor = os.dup(current.file.descriptor)
        current.file.close()
        current.file = PlainFile(descriptor)
        current.generation = Generation(
            path=current.generation.path, rotated="", is_gzip=False, identity=identity, size=size
        )
        current.offset, current.fragment, current.seen = 0, b"", size
        current.order += 1

    def _encode(self, current: Current, data: bytes) -> Reading:
        buffer = current.fragment + data
        begun = current.offset
        pushes: list[Push] = []
        end = buffer.rfind(b"\n") + 1
        start = 0
        while (following := buffer.find(b"\n", start)) - start >= MAX_RAW_LINE_BYTES or (
            following < 0 and len(buffer) - start >= MAX_RAW_LINE_BYTES
        ):
            pushes += self._lines(current, buffer[start : start + MAX_RAW_LINE_BYTES] + b"\n", MAX_RAW_LINE_BYTES)
            start += MAX_RAW_LINE_BYTES
        if end > start:
            pushes += self._lines(current, buffer[start:end] if start or end < len(buffer) else buffer, end - start)
            start = end
        current.fragment = buffer[start:]
        return self._reading(current, pushes, current.offset - begun)

    def _lines(self, current: Current, block: bytes, size: int) -> list[Push]:
        assert self._encoder is not None  # noqa: S101 - `read` has checked it
        place = Place(current.order, current.generation.identity, current.offset, self._encoder.last_at)
        current.offset += size
        return self._encoder.encode(block, place)

    def _left(self, current: Current) -> Reading | None:
        """Return what is left without an end, once nothing can be expected behind it."""
        if not (self.has_ended or self._monotonic() - self._grew_at > PARTIAL_SECONDS):
            return self._only_losses()
        ended = self._end(current)
        if ended is not None or self._encoder is None or not self._encoder.joiner.is_open:
            return ended or self._only_losses()
        return self._reading(current, self._encoder.flush(), 0)

    def _end(self, current: Current) -> Reading | None:
        """Return a last line without its end. One that was written in parts may go on in the next file."""
        if not current.fragment:
            return None
        fragment, current.fragment = current.fragment, b""
        return self._reading(current, self._lines(current, fragment + b"\n", len(fragment)), len(fragment))

    def _go_on(self, current: Current) -> Reading | None:
        """Go to the next file."""
        identity = current.generation.identity
        self._chain.look()
        if self._chain.skips(identity):
            # Before a loss is told: one look into a folder where files are just being renamed is not enough.
            self._chain.look()
        following = self._chain.after(identity)
        if following is None or self._open(following, 0, order=current.order + 1) is None:
            return self._left(current)
        current.file.close()
        lost = self._chain.go_on(identity, following.identity)
        self._lost += lost or self._chain.hole_before(following.identity, self._last_at)
        return self.read()

    def _only_losses(self) -> Reading | None:
        current = self._current
        if not self._lost or current is None or self._encoder is None:
            return None
        return self._reading(current, [], 0)

    def _reading(self, current: Current, pushes: list[Push], size: int) -> Reading:
        assert self._encoder is not None  # noqa: S101
        place = Place(current.order, current.generation.identity, current.offset, self._encoder.last_at)
        lost, self._lost = self._lost, []
        return Reading(
            place=self._encoder.joiner.begun or place,
            size=size,
            pushes=pushes,
            lost=lost,
            levels=self._encoder.take_levels(),
        )

    def _tell(self, cause: Cause, current: Current, *, size: int, detail: str = "") -> None:
        self._lost.append(
            Lost(
                cause=cause,
                start=self._last_at or max(current.generation.identity, 0),
                end=self._now_ns(),
                at=f"{current.generation.identity}/{current.offset}",
                size=size,
                detail=detail,
            )
        )
