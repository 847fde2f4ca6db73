"""
What waits for one lane: a queue for each stream, and the choice of what the next request carries. Pure; times come in.

Order is kept within a stream and nowhere else. So a stream that has to wait keeps its queue and holds up nobody, and
whatever failed goes back to the head of the queue that it came from.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from kubescribe.loki.parcels import Parcel, Ticket, fitting

_BEHIND_NS = 45 * 60 * 10**9
"""Loki refuses what is an hour older than its stream's newest entry (half of max_chunk_age); other senders may have
moved that up to now, so what is older than this may be refused."""

HOT_BYTES = 64 * 1024
"""A second: far below what any Loki takes of one stream. What is above may be refused, so it travels alone."""

_HOT_SECONDS = 1.0

CAUTION_SECONDS = 600.0
"""How long a stream that was refused travels alone."""

_MAX_STREAMS = 64
"""In one request; an error names one of them."""


NO_LIMIT = 2**62
_SMALLEST_BYTES = 8 * 1024


class Caution(IntEnum):
    """How a stream's parcels may travel."""

    NONE = 0
    ALONE = 1
    """No other stream in the request: an error of an earlier one is hidden by the success of a later one."""
    SINGLY = 2
    """And one parcel at a time."""


@dataclass(slots=True, eq=False)
class StreamQueue:
    """The parcels of one stream, the oldest first, and how the stream does."""

    labels: str
    parcels: deque[tuple[Parcel, float]] = field(default_factory=deque)
    waiting_bytes: int = 0
    sleeps_until: float = 0.0
    failures: int = 0
    caution: Caution = Caution.NONE
    caution_until: float = 0.0
    max_bytes: int = NO_LIMIT
    """Of one request, until `caution_until`: what is above a stream's own burst never passes."""

    _counted_from: float = 0.0
    _counted_bytes: int = 0

    def count(self, content_bytes: int, now: float) -> None:
        """Take that so much goes out now."""
        if now - self._counted_from > _HOT_SECONDS:
            self._counted_from, self._counted_bytes = now, 0
        self._counted_bytes += content_bytes

    def is_hot(self, now: float, most_bytes: int, hot_bytes: int) -> bool:
        """Tell whether with what goes next, at most *most_bytes*, more than *hot_bytes* go out in a second."""
        before = self._counted_bytes if now - self._counted_from <= _HOT_SECONDS else 0
        return before + min(self.waiting_bytes, most_bytes) > hot_bytes

    def sleep(self, until: float) -> None:
        """Send nothing of this stream before *until*."""
        self.sleeps_until = max(self.sleeps_until, until)

    def beware(self, caution: Caution, now: float) -> None:
        """Let this stream's parcels travel with at least *caution* for some time."""
        if now >= self.caution_until:
            self.max_bytes = NO_LIMIT
        self.caution = max(caution, self._caution(now))
        self.caution_until = now + CAUTION_SECONDS

    def shrink(self, size: int) -> None:
        """Send at most half of *size* bytes at a time, as long as this stream travels with caution."""
        self.max_bytes = max(_SMALLEST_BYTES, min(self.max_bytes, size // 2))

    def limit(self, now: float) -> int:
        """Return the most bytes of this stream in one request."""
        return self.max_bytes if now < self.caution_until else NO_LIMIT

    def caution_now(self, now: float, wall_ns: int, *, is_known: bool) -> Caution:
        """Return how the head of the queue may travel."""
        if _is_behind(self.parcels[0][0], wall_ns):
            return Caution.SINGLY
        return max(self._caution(now), Caution.NONE if is_known else Caution.ALONE)

    def is_risky(self, wall_ns: int, *, is_known: bool) -> bool:
        """Tell whether the head of the queue may be refused where others are taken."""
        return not is_known or _is_behind(self.parcels[0][0], wall_ns)

    def append(self, parcel: Parcel, since: float) -> None:
        """Put *parcel*, which waits *since* then, behind the others."""
        self.parcels.append((parcel, since))
        self.waiting_bytes += parcel.size

    def put_back(self, parcel: Parcel, since: float) -> None:
        """Put *parcel* before the others."""
        self.parcels.appendleft((parcel, since))
        self.waiting_bytes += parcel.size

    def take(self) -> tuple[Parcel, float]:
        """Take the first parcel, and since when it waits."""
        parcel, since = self.parcels.popleft()
        self.waiting_bytes -= parcel.size
        return parcel, since

    def count_of(self, ticket: Ticket) -> int:
        """Return how many entries of *ticket* wait. They lie together; the later it came, the sooner it is found."""
        count = 0
        for parcel, _ in reversed(self.parcels):
            if parcel.ticket is ticket:
                count += parcel.count
            elif count:
                break
        return count

    def drop(self, ticket: Ticket) -> None:
        """Take out what there is of *ticket*."""
        later: deque[tuple[Parcel, float]] = deque()
        while self.parcels and self.parcels[-1][0].ticket is not ticket:
            later.appendleft(self.parcels.pop())
        while self.parcels and self.parcels[-1][0].ticket is ticket:
            self.waiting_bytes -= self.parcels.pop()[0].size
        self.parcels += later

    def forgettable(self, now: float) -> bool:
        """Tell whether nothing is lost when this queue is dropped."""
        is_quiet = now >= self.sleeps_until and now >= self.caution_until and now - self._counted_from > _HOT_SECONDS
        return not self.parcels and is_quiet

    def _caution(self, now: float) -> Caution:
        return self.caution if now < self.caution_until else Caution.NONE


class LaneQueue:
    """The streams of one lane."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamQueue] = {}

    def __bool__(self) -> bool:
        return any(queue.parcels for queue in self._streams.values())

    def stream(self, labels: str) -> StreamQueue:
        """Return the queue of a stream, made if there is none."""
        found = self._streams.get(labels)
        if found is None:
            found = self._streams[labels] = StreamQueue(labels)
        return found

    def count_of(self, ticket: Ticket) -> int:
        """Return how many entries of *ticket* wait under the labels of its push."""
        queue = self._streams.get(ticket.push.labels)
        return queue.count_of(ticket) if queue is not None else 0

    def drop(self, ticket: Ticket) -> None:
        """Take out what waits of *ticket*."""
        self.stream(ticket.push.labels).drop(ticket)

    def add(self, parcel: Parcel, now: float) -> None:
        """Put *parcel* at the end of its stream's queue."""
        self.stream(parcel.labels).append(parcel, now)

    def put_back(self, parcels: Sequence[Parcel], now: float) -> None:
        """Put what was taken at the heads again, in the order in which it was taken."""
        for parcel in reversed(parcels):
            self.stream(parcel.labels).put_back(parcel, now)

    def oldest(self, now: float) -> float | None:
        """Return since when the longest waiting parcel of a stream that may be sent waits, None for none."""
        return min(
            (queue.parcels[0][1] for queue in self._streams.values() if queue.parcels and queue.sleeps_until <= now),
            default=None,
        )

    def wakes_at(self) -> float | None:
        """Return when the first stream with parcels may be sent, None when none has any."""
        return min((queue.sleeps_until for queue in self._streams.values() if queue.parcels), default=None)

    def wake_failed(self) -> None:
        """Let every stream be tried again as any other that slept because it failed."""
        for queue in self._streams.values():
            if queue.failures:
                queue.sleeps_until, queue.failures, queue.caution_until = 0.0, 0, 0.0

    def is_full(self, now: float, wall_ns: int, max_bytes: int, known: "Known") -> bool:
        """Tell whether nothing is won by waiting: there is enough for a request, or one that travels alone anyway."""
        waiting = 0
        for labels, queue in self._streams.items():
            if not queue.parcels or queue.sleeps_until > now:
                continue
            waiting += queue.waiting_bytes
            if waiting >= max_bytes or queue.is_risky(wall_ns, is_known=known.has(labels)):
                return True
        return False

    def take(
        self, now: float, wall_ns: int, max_bytes: int, known: "Known", *, hot_bytes: int = HOT_BYTES
    ) -> list[Parcel]:
        """
        Return what the next request carries, at most *max_bytes* where no entry is larger; [] when nothing may.

        A stream of which more than *hot_bytes* go out in a second travels alone.
        """
        taken: list[Parcel] = []
        served: list[str] = []
        room = max_bytes
        for labels, queue in self._streams.items():
            if not queue.parcels or queue.sleeps_until > now:
                continue
            caution = queue.caution_now(now, wall_ns, is_known=known.has(labels))
            if caution is Caution.NONE and queue.is_hot(now, max_bytes, hot_bytes):
                caution = Caution.ALONE
            if caution is not Caution.NONE and taken:
                continue
            most = 1 if caution is Caution.SINGLY else len(queue.parcels)
            size = min(max_bytes, queue.limit(now))
            part = _of_stream(queue, min(room, size), size, most, wall_ns)
            if not part:
                continue
            taken += part
            queue.count(sum(parcel.content_bytes for parcel in part), now)
            room -= sum(parcel.size for parcel in part)
            served.append(labels)
            if caution is not Caution.NONE or room <= 0 or len(served) >= _MAX_STREAMS:
                break
        # Whoever was served stands behind the others next time.
        for labels in served:
            self._streams[labels] = self._streams.pop(labels)
        return taken

    def forget_idle(self, now: float) -> None:
        """Drop the queues that say nothing any more."""
        for labels in [labels for labels, queue in self._streams.items() if queue.forgettable(now)]:
            del self._streams[labels]


def _is_behind(parcel: Parcel, wall_ns: int) -> bool:
    return parcel.is_late or parcel.first_at < wall_ns - _BEHIND_NS


def _of_stream(queue: StreamQueue, room: int, max_bytes: int, most: int, wall_ns: int) -> list[Parcel]:
    taken: list[Parcel] = []
    while queue.parcels and len(taken) < most:
        parcel = queue.parcels[0][0]
        if taken and _is_behind(parcel, wall_ns):
            break
        if parcel.size > max_bytes and parcel.count > 1:
            _, since = queue.take()
            for part in reversed(list(fitting(parcel, max_bytes))):
                queue.put_back(part, since)
            continue
        if parcel.size > room and (taken or room < max_bytes):
            break
        queue.take()
        taken.append(parcel)
        room -= parcel.size
    return taken


class Known:
    """The streams of one tenant that Loki took something of lately: those are not new to it."""

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._labels: dict[str, None] = {}

    def has(self, labels: str) -> bool:
        """Tell whether Loki knows the stream."""
        return labels in self._labels

    def add(self, labels: str) -> None:
        """Take that Loki took something of it."""
        self._labels.pop(labels, None)
        self._labels[labels] = None
        if len(self._labels) > self._max_streams:
            del self._labels[next(iter(self._labels))]

    def discard(self, labels: str) -> None:
        """Take that Loki may not know it."""
        self._labels.pop(labels, None)
