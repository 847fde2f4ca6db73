"""
Lines of a watch and items of a list to records, for changes and for occurrences behind one face. No I/O.

One bad object is counted and skipped, and never harms what stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from agent.errors import ServerSaid, Undecodable
from agent.watch.changes import ChangeRecorder
from agent.watch.counters import WatchCounters
from agent.watch.decoding import decode_event, decode_object, has_initial_events_end, version_in, version_of
from agent.watch.events import decode_event_line, decode_event_object, is_deleted_early, occurrence_of
from agent.watch.kinds import WatchedKind
from agent.watch.lines import OversizedLine
from kubescribe.wire.records import AnyRecord, Change


@dataclass(slots=True)
class Taken:
    """
    What some lines gave.

    `version` is that of the last event or bookmark, 0 when there was none that may move the resume point.
    `unidentified` counts what was there without a word of who it is. `error` is what the server said in the stream:
    nothing after it counts. `has_ended_initial` tells that WatchList's bookmark came.
    """

    records: list[AnyRecord] = field(default_factory=list)
    version: int = 0
    events: int = 0
    bookmarks: int = 0
    undecodable: list[str] = field(default_factory=list)
    oversized: list[OversizedLine] = field(default_factory=list)
    unidentified: int = 0
    error: ServerSaid | None = None
    has_ended_initial: bool = False

    def add_damage(self, other: "Taken") -> None:
        """Add what *other* could not record to what this could not."""
        self.undecodable += other.undecodable
        self.oversized += other.oversized
        self.unidentified += other.unidentified


class Taker(Protocol):
    """What the watcher needs of a stream's kind of records."""

    term: int

    def take(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Return what *lines* of a watch give; never raises."""
        ...

    def take_initial(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Return what *lines* before WatchList's bookmark give: listed records, which move nothing."""
        ...

    def take_items(self, items: list[msgspec.Raw], now: int) -> Taken:
        """Return what *items* of a list give."""
        ...


class ChangeTaker:
    """Takes the lines of every kind but Event."""

    def __init__(self, recorder: ChangeRecorder, kind: WatchedKind, counters: WatchCounters) -> None:
        self.recorder = recorder
        self._counters = counters
        self._expected = "PartialObjectMetadata" if kind.metadata_only else kind.kind

    @property
    def term(self) -> int:
        """The term stamped on records."""
        return self.recorder.term

    @term.setter
    def term(self, term: int) -> None:
        self.recorder.term = term

    def take(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Return what *lines* of a watch give; never raises."""
        taken = Taken(oversized=oversized)
        records, record_version, expected = taken.records, self.recorder.version, self._expected
        record_status = self.recorder.status_moved
        last: int | str = 0
        for line in lines:
            if not line:
                continue
            try:
                if moved_to := record_status(line, now, records):
                    taken.events += 1
                    last = moved_to
                    continue
                event = decode_event(line)
                item = event.object
                if item.kind != expected:
                    raise Undecodable(f"watch: kind {item.kind[:64]!r} in the place of {expected}")  # noqa: TRY301
                # Before it is recorded: that takes the version out.
                version = item.metadata.resource_version
                if event.type == "BOOKMARK":
                    version_of(item.metadata)
                    taken.bookmarks += 1
                else:
                    record = record_version(event.type, item, now, line)
                    taken.events += 1
                    if record is not None:
                        records.append(record)
                last = version
            except Undecodable as error:
                taken.undecodable.append(str(error))
            except ServerSaid as error:
                taken.error = error
                break
        taken.version = int(last)
        self._count(taken, now)
        return taken

    def take_initial(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Return what *lines* before WatchList's bookmark give."""
        taken = Taken(oversized=oversized)
        for line in lines:
            if not line:
                continue
            try:
                event = decode_event(line)
                if event.object.kind != self._expected:
                    raise Undecodable(f"watch: kind {event.object.kind[:64]!r} in the place of {self._expected}")  # noqa: TRY301
                if event.type == "ADDED":
                    taken.records.append(self.recorder.listed(event.object, now))
                    taken.events += 1
                elif event.type == "BOOKMARK" and has_initial_events_end(event):
                    taken.version = version_of(event.object.metadata)
                    taken.has_ended_initial = True
                    break
            except Undecodable as error:
                taken.undecodable.append(str(error))
            except ServerSaid as error:
                taken.error = error
                break
        self._count(taken, now)
        return taken

    def take_items(self, items: list[msgspec.Raw], now: int) -> Taken:
        """Return what *items* of a list give."""
        taken = Taken()
        for item in items:
            try:
                taken.records.append(self.recorder.listed(decode_object(item), now))
            except Undecodable as error:
                taken.undecodable.append(str(error))
        self._counters.listed += len(taken.records)
        self._count(taken, now)
        return taken

    def _count(self, taken: Taken, now: int) -> None:
        for line in taken.oversized:
            record = self.recorder.oversized(line, now)
            if record is not None:
                taken.records.append(record)
            else:
                taken.unidentified += 1
        taken.unidentified += len(taken.undecodable)
        count(self._counters, taken)


class OccurrenceTaker:
    """Takes the lines of core Events."""

    def __init__(self, stream: str, counters: WatchCounters, time_to_live_seconds: float) -> None:
        self.term = 0
        self._stream = stream
        self._counters = counters
        self._time_to_live_seconds = time_to_live_seconds

    def take(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Return what *lines* of a watch give; never raises."""
        taken = Taken(oversized=oversized)
        for line in lines:
            if not line:
                continue
            try:
                decoded = decode_event_line(line)
                event = decoded.object
                if event.kind != "Event":
                    raise Undecodable(f"watch: kind {event.kind[:64]!r} in the place of Event")  # noqa: TRY301
                if decoded.type == "BOOKMARK":
                    taken.bookmarks += 1
                else:
                    record = occurrence_of(
                        event,
                        stream=self._stream,
                        term=self.term,
                        observed_at=now,
                        is_gone=decoded.type == "DELETED",
                    )
                    taken.events += 1
                    if decoded.type != "DELETED" or is_deleted_early(event, now, self._time_to_live_seconds):
                        taken.records.append(record)
                    else:
                        self._counters.expired_events += 1
                taken.version = version_in(event.metadata.resource_version)
            except (Undecodable, ValueError) as error:
                taken.undecodable.append(str(error)[:256])
            except ServerSaid as error:
                taken.error = error
                break
        count(self._counters, taken)
        return taken

    def take_initial(self, lines: list[bytes], oversized: list[OversizedLine], now: int) -> Taken:
        """Events are listed in pages, so there is nothing to take. Raises NotImplementedError."""
        raise NotImplementedError

    def take_items(self, items: list[msgspec.Raw], now: int) -> Taken:
        """Return what *items* of a list give."""
        taken = Taken()
        for item in items:
            try:
                event = decode_event_object(item)
                taken.records.append(
                    occurrence_of(event, stream=self._stream, term=self.term, observed_at=now, is_listed=True)
                )
            except Undecodable as error:
                taken.undecodable.append(str(error))
        self._counters.listed += len(taken.records)
        count(self._counters, taken)
        return taken


def count(counters: WatchCounters, taken: Taken) -> None:
    """Add what *taken* tells to *counters*."""
    counters.events += taken.events
    counters.bookmarks += taken.bookmarks
    counters.oversized += len(taken.oversized)
    counters.undecodable += len(taken.undecodable)


def versions_of(records: Sequence[AnyRecord]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the uids and versions of listed *records*, as a Snapshot carries them."""
    changes = [record for record in records if isinstance(record, Change)]
    return tuple(change.uid for change in changes), tuple(change.resource_version for change in changes)
