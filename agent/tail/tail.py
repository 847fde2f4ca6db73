"""One instance of a container as the tailer keeps it: its reader, what is on its way, how far it is acknowledged."""

from collections import Counter
from dataclasses import dataclass, field

from agent.tail.joining import Place
from agent.tail.looks import Look, Reading
from agent.tail.paths import Instance
from agent.tail.race import Race
from agent.tail.reader import Reader

FIRST_WINDOW_BYTES = 128 * 1024
MAX_WINDOW_BYTES = 16 * 2**20
STALL_SECONDS = 10.0
"""What Loki holds up (a stream for which it has no place) is to keep little of the memory that all share."""


@dataclass(slots=True, kw_only=True, eq=False)
class Flight:
    """
    A reading on its way, `since`: `pushes` have no outcome yet, `size` bytes of the file, `weight` in memory.

    `levels` are its lines.
    """

    place: Place
    size: int
    weight: int
    pushes: int
    since: float
    levels: Counter[str]


@dataclass(slots=True, kw_only=True, eq=False)
class Tail:
    """
    One instance.

    `place` is acknowledged, `is_changed` when that is not on disk yet; `lines` are those before it, by level, as far as
    they were counted. `first_seen` is on the monotonic clock, and so is `idle_since`. `rate` is in bytes a second. When
    it `is_over`, its pod has ended, as the API tells.
    """

    instance: Instance
    reader: Reader
    first_seen: float
    look: Look = field(default_factory=Look)
    place: Place | None = None
    lines: Counter[str] = field(default_factory=Counter)
    is_changed: bool = False
    is_named: bool = False
    is_due: bool = False
    is_gone: bool = False
    is_over: bool = False
    is_sending: bool = False
    window: int = FIRST_WINDOW_BYTES
    flights: list[Flight] = field(default_factory=list)
    flying_bytes: int = 0
    unacknowledged: int = 0
    read: int = 0
    acknowledged: int = 0
    rate: float = 0.0
    idle_since: float = 0.0
    race: Race = field(default_factory=Race)
    _written: int = 0
    _seen: int = -1
    _seen_at: float = 0.0

    @property
    def waits_to_be_read(self) -> bool:
        """Whether all of it is open, and there to be read, and no file will change any more."""
        return self.look.is_gone and self.is_due and self.is_named

    @property
    def seen(self) -> int:
        """The bytes that were there to read in this life of the agent."""
        return self.read + self.look.unread

    @property
    def lag(self) -> int:
        """The bytes on the node that Loki does not have."""
        return self.look.unread + self.unacknowledged

    @property
    def is_read_out(self) -> bool:
        """Whether everything of it is in Loki, and nothing more will come."""
        return self.is_over and self.look.is_whole and not (self.lag or self.flights or self.is_sending)

    @property
    def seconds_to_loss(self) -> float:
        """When the kubelet deletes what Loki does not have, as fast as both go now; +Inf: not in sight."""
        return self.race.seconds_to_loss(self.lag, self.look.kept)

    @property
    def seconds_left(self) -> float:
        """When it would, if nothing more were read: whose turn it is."""
        if not self.lag or self.rate < 1.0:
            return float("inf")
        return max(0.0, (self.look.kept - self.lag) / self.rate)

    def note_look(self, look: Look, now: float) -> None:
        """Take how the files are."""
        self.look = look
        if self._seen >= 0 and now > self._seen_at:
            # What is there to read falls when something is deleted: that was written all the same.
            self._written += max(0, self.seen - self._seen)
            grown = max(0, self.seen - self._seen) / (now - self._seen_at)
            self.rate = grown if not self.rate else 0.7 * self.rate + 0.3 * grown
        self._seen, self._seen_at = self.seen, now
        self.race.note(self._written, self.acknowledged, now)
        self.is_due = look.is_due
        if look.is_due or look.unread or self.flights:
            self.idle_since = now

    def may_read(self, max_window: int, now: float) -> bool:
        """Tell whether the next block is to be read: not while what was read before does not get on."""
        if not (self.is_due and self.is_named) or self.is_sending:
            return False
        if self.flights and now - self.flights[0].since > STALL_SECONDS:
            self.window = FIRST_WINDOW_BYTES
            return False
        return self.flying_bytes < min(self.window, max_window)

    def begin(self, reading: Reading, weight: int, now: float) -> Flight:
        """Take a reading that is about to be sent."""
        flight = Flight(
            place=reading.place,
            size=reading.size,
            weight=weight,
            pushes=len(reading.pushes),
            since=now,
            levels=reading.levels,
        )
        self.flights.append(flight)
        self.read += reading.size
        self.flying_bytes += weight
        self.unacknowledged += reading.size
        return flight

    def land(self) -> int:
        """Move on over whatever has arrived, in order; return what it weighed."""
        freed = 0
        while self.flights and not self.flights[0].pushes:
            flight = self.flights.pop(0)
            self.place = flight.place
            self.lines.update(flight.levels)
            self.window = min(2 * self.window, MAX_WINDOW_BYTES)
            self.is_changed = True
            self.flying_bytes -= flight.weight
            self.unacknowledged -= flight.size
            self.acknowledged += flight.size
            freed += flight.weight
        return freed
