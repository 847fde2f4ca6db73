"""
What waits and flies of a frame's streams: tenants, and in them the ways, by hashes of their names. Values; pure.

Whoever pushes may make up a new name each time, so names are mapped to a bounded number of ways.
"""

import asyncio
import zlib
from array import array
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kubescribe.loki.pushes import Outcome, Push

FIRST_WINDOW_BYTES = 128 * 1024
"""Of a way that is new."""

TENANTS = 1024
WAYS = 4096
"""Of each tenant. Names are mapped to so many by their hash: whoever pushes may make up a new one each time."""

PORTION_STREAMS = 500
"""Of a frame that find their ways at a time: a few milliseconds."""

_COMPACT = 1024

_NONE = array("Q")
"""What nothing is noted in: nearly every way has no notes, and lives as long as one push."""


class Notes:
    """Numbers of frames, ascending, each once."""

    __slots__ = ("_numbers", "_start")

    def __init__(self) -> None:
        self._numbers = _NONE
        self._start = 0

    def __len__(self) -> int:
        return len(self._numbers) - self._start

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers[self._start :])

    @property
    def first(self) -> int:
        """The smallest; there has to be one."""
        return self._numbers[self._start]

    def add(self, n: int) -> None:
        """Note *n*, which is larger than the others."""
        if self._numbers is _NONE:
            self._numbers = array("Q")
        self._numbers.append(n)

    def put_back(self, numbers: Iterable[int]) -> None:
        """Note *numbers*, which come before the others."""
        self._numbers, self._start = array("Q", sorted({*numbers, *self})), 0

    def drop_first(self) -> None:
        """Forget the smallest."""
        self._start += 1
        if self._start >= _COMPACT and 2 * self._start >= len(self._numbers):
            del self._numbers[: self._start]
            self._start = 0


@dataclass(slots=True, eq=False)
class Flight:
    """A push of frame `n` that was given to the sender, `since` then."""

    n: int
    size: int
    since: float
    is_final: bool = False
    index: int = 0
    """Which it is of the pushes of its frame that go this way."""
    outcome: "asyncio.Future[Outcome] | None" = None
    """What the sender promised, None before it was given to it."""


@dataclass(slots=True, eq=False)
class Way:
    """
    Some streams of one tenant, nearly always one.

    `notes` are the frames that wait; of the first of them `sent` pushes are on their way already.
    """

    tenant: "Tenant"
    key: int
    flights: deque[Flight] = field(default_factory=deque)
    outbox: deque[tuple[Push, Flight]] = field(default_factory=deque)
    notes: Notes = field(default_factory=Notes)
    sent: int = 0
    flying: int = 0
    window: int = FIRST_WINDOW_BYTES
    is_submitting: bool = False

    @property
    def oldest(self) -> int | None:
        """The first frame that is not final."""
        found = [self.flights[0].n] if self.flights else []
        return min([*found, self.notes.first] if self.notes else found, default=None)


@dataclass(slots=True, eq=False)
class Tenant:
    """One tenant: `notes` are frames that wait as a whole, `ready` are ways that would have room for their notes."""

    key: int
    ways: dict[int, Way] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    ready: dict[Way, None] = field(default_factory=dict)
    noted: int = 0
    flying: int = 0
    moved_at: float = 0.0
    """When the last of its pushes became final, or the first one left."""
    is_held: bool = False
    """Whether Loki held it up when others waited: until something of it arrives, it tries with one push at a time."""

    def way(self, key: int) -> Way:
        """Return the way of that hash, made if there is none."""
        found = self.ways.get(key)
        if found is None:
            found = self.ways[key] = Way(self, key)
        return found


Waiting = Tenant | Way


def tenant_key(name: str) -> int:
    """Return which of TENANTS *name* is."""
    return zlib.crc32(name.encode()) % TENANTS


def portions_of(pushes: Sequence[Push]) -> list[Sequence[Push]]:
    """
    Return the pushes of a frame in portions of about PORTION_STREAMS, those of one way together and in their order.

    To find the ways of twenty thousand streams takes the loop a twentieth of a second.
    """
    if len(pushes) <= PORTION_STREAMS:
        return [pushes] if pushes else []
    portions: list[Sequence[Push]] = []
    part: list[Push] = []
    for _, of_way in groupby(sorted(pushes, key=way_key), key=way_key):
        part += of_way
        if len(part) >= PORTION_STREAMS:
            portions.append(part)
            part = []
    return [*portions, part] if part else portions


def all_wait(tenant: Tenant, streams: Collection[str]) -> list[Way] | None:
    """Return the ways of *streams* when each has frames that wait; None when not, or when they are very many."""
    if not tenant.noted or len(streams) > PORTION_STREAMS:
        return None
    ways = [tenant.ways.get(key) for key in {_key_of(labels) for labels in streams}]
    waiting = [way for way in ways if way is not None and way.notes]
    return waiting if len(waiting) == len(ways) else None


def way_key(push: Push) -> int:
    """Return which of WAYS *push* goes."""
    return _key_of(push.labels)


def _key_of(labels: str) -> int:
    return zlib.crc32(labels.encode()) % WAYS


def by_way(tenant: Tenant, pushes: Iterable[Push]) -> dict[Way, list[Push]]:
    """Return *pushes* by the ways that they go, which are made where there are none."""
    found: dict[Way, list[Push]] = {}
    for push in pushes:
        way = tenant.way(_key_of(push.labels))
        if way in found:
            found[way].append(push)
        else:
            found[way] = [push]
    return found
