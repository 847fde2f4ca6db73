"""
Whose frames wait for whom on the way to Loki: tenants, and in them the streams, each with a window of its own. Pure.

    frame ─▶ tenant (has it room?) ─▶ way (a few streams; has it room?) ─▶ flight ─▶ outcome
               └ its number is noted      └ its number is noted               read again from the disk, in order

What is noted costs eight bytes and stays on the disk. The window is divided anew with each tenant that waits, so some
of it is free for one that does not: each may have three times what is free (three quarters of it all, alone; of three
quarters, as long as nothing of it has arrived). What many
tenants that are held up would fill between them is taken back from the sender, and noted again.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

from kubescribe.gateway.waiting import (
    FIRST_WINDOW_BYTES,
    Flight,
    Tenant,
    Waiting,
    Way,
    all_wait,
    by_way,
    tenant_key,
)
from kubescribe.loki.pushes import Push

WINDOW_BYTES = 8 * 2**20
"""Of pushes that are submitted and not final: half of what the sender holds; the rest is for the node's own lines."""

PUSH_BYTES = 2048
"""What a push takes besides its entries, as the sender counts."""

MAX_WINDOW_BYTES = 2 * 2**20
"""Of one way: doubled from FIRST_WINDOW_BYTES with each push that arrives, so what Loki holds up from the start keeps
little."""

STALL_SECONDS = 10.0
"""A push that took longer was held up: its way begins with the first window again."""

HELD_SECONDS = 5.0
"""A tenant of which nothing arrived for so long is held up. One that is paced hears from Loki more often."""

_HELD_PART = 4
"""Of the window, for the tries of those that are held up: some eight at a time, a few seconds each."""

MAX_NOTES = 100_000
"""Numbers of frames that wait for a way; whose tenant takes half of what is left of them waits as a whole."""

_TENANT_TIMES = 3


class Ways:
    """All tenants of whom something is not final."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self._window_bytes = window_bytes
        self._tenants: dict[int, Tenant] = {}
        self.flying = 0
        self.held_flying = 0
        self._noted = 0
        self._well: set[int] = set()
        """Who was well when last heard of: a quarter of the window is theirs alone, and the first turn."""

    def __bool__(self) -> bool:
        return self.flying > 0

    def tenant(self, name: str) -> Tenant:
        """Return the tenant of that name, made if there is none."""
        key = tenant_key(name)
        found = self._tenants.get(key)
        if found is None:
            found = self._tenants[key] = Tenant(key)
        return found

    def has_room(self, tenant: Tenant) -> bool:
        """Tell whether *tenant* may send a push more."""
        if tenant.is_held:
            return not tenant.flying and self.held_flying < self._window_bytes // _HELD_PART
        most = self._window_bytes if tenant.key in self._well else self._window_bytes * 3 // 4
        return tenant.flying < _TENANT_TIMES * (most - self.flying)

    def takes(self, tenant: Tenant) -> bool:
        """Tell whether the next frame of *tenant* may be opened."""
        return self.has_room(tenant) and tenant.noted < MAX_NOTES - self._noted

    def waits(self, name: str, streams: Collection[str]) -> bool:
        """Tell, in any thread, whether a frame with *streams*, labels, of the tenant *name* would have to wait."""
        tenant = self._tenants.get(tenant_key(name))
        return tenant is not None and (
            bool(tenant.notes) or not self.has_room(tenant) or all_wait(tenant, streams) is not None
        )

    def pass_over(self, tenant: Tenant, n: int, streams: Collection[str]) -> bool:
        """Note frame *n* when all of its *streams* wait for older ones; tell whether they do: it need not be opened."""
        waiting = all_wait(tenant, streams)
        for way in waiting or ():
            self._note(way, n)
        return waiting is not None

    def next_waiting(self) -> Waiting | None:
        """Return whose first note is to be read, None when nobody's; in turn, those first that are well."""
        for key, tenant in sorted(self._tenants.items(), key=lambda it: it[0] not in self._well):
            found: Waiting | None = None
            if tenant.ready and self.has_room(tenant):
                found = next(iter(tenant.ready))
            elif tenant.notes and self.takes(tenant):
                found = tenant
            if found is not None:
                self._tenants[key] = self._tenants.pop(key)
                return found
        return None

    def route(self, tenant: Tenant, n: int, pushes: Iterable[Push], now: float) -> list[Way]:
        """
        Take the pushes of frame *n*, to the ways that have room and no older notes; return those with an outbox.

        All that there are for a way, or none.
        """
        return [way for way, of_way in by_way(tenant, pushes).items() if self._onto(way, n, of_way, now)]

    def resume(self, tenant: Tenant, n: int, pushes: Iterable[Push], now: float) -> list[Way]:
        """Take the pushes of frame *n* again, for the ways that wait for it."""
        moved: list[Way] = []
        for way, of_way in by_way(tenant, pushes).items():
            if not way.notes or way.notes.first != n:
                self.forget_way(way)
                continue
            if self._send(way, n, of_way, now):
                self._drop_note(way)
            if way.outbox:
                moved.append(way)
        return moved

    def skip(self, waiting: Waiting) -> None:
        """Take that the first note of *waiting* cannot be read any more."""
        if isinstance(waiting, Way):
            self._drop_note(waiting)
            self.forget_way(waiting)
        else:
            waiting.notes.drop_first()
            self.forget(waiting)

    def land(self, way: Way, flight: Flight, now: float) -> None:
        """Take that the fate of *flight* is final."""
        tenant, flights = way.tenant, way.flights
        flight.is_final = True
        self._count(way, -flight.size)
        tenant.moved_at = now
        self._well.add(tenant.key)
        self.let_go(tenant)
        if now - flight.since > STALL_SECONDS:
            way.window = FIRST_WINDOW_BYTES
        elif way.window < MAX_WINDOW_BYTES:
            way.window = min(2 * way.window, MAX_WINDOW_BYTES)
        while flights and flights[0].is_final:
            flights.popleft()
        # Nearly always nothing is noted of the whole tenant, which is quicker told.
        if tenant.noted and way.notes and way.flying < way.window:
            tenant.ready[way] = None
        self.forget_way(way)

    def held_up(self, now: float) -> list[Tenant]:
        """
        Return the tenants whose pushes are to be taken back, the longest held up first: others wait for their room.

        Those of which nothing became final for HELD_SECONDS, when they have more than half of the window between them;
        and those of them that were tried again in vain, when as many are tried as may be.
        """
        waiting = [it for it in self._tenants.values() if it.notes or it.ready]
        is_full = 2 * self.flying > self._window_bytes
        is_tried = self.held_flying >= self._window_bytes // _HELD_PART
        stalled = [
            it
            for it in self._tenants.values()
            if it.flying and now - it.moved_at > HELD_SECONDS and (is_full or (is_tried and it.is_held))
        ]
        stalled.sort(key=lambda it: it.moved_at)
        return [it for it in stalled if len(waiting) > 1 or waiting not in ([], [it])]

    def hold(self, tenant: Tenant) -> None:
        """Let *tenant* try with one push at a time from now on."""
        self._well.discard(tenant.key)
        if not tenant.is_held:
            tenant.is_held = True
            self.held_flying += tenant.flying

    def let_go(self, tenant: Tenant) -> None:
        """Let *tenant* send as the others do."""
        if tenant.is_held:
            tenant.is_held = False
            self.held_flying -= tenant.flying

    def put_back(self, way: Way, taken: Sequence[Flight]) -> None:
        """Note the frames of *taken*, the last flights of *way*, which the sender has no more."""
        gone = set(taken)
        way.flights = deque(flight for flight in way.flights if flight not in gone)
        self._count(way, -sum(flight.size for flight in taken))
        while way.flights and way.flights[0].is_final:
            way.flights.popleft()
        first = min(taken, key=lambda it: (it.n, it.index))
        before = len(way.notes)
        way.notes.put_back(flight.n for flight in taken)
        way.sent = first.index
        way.window = FIRST_WINDOW_BYTES
        way.tenant.noted += len(way.notes) - before
        self._noted += len(way.notes) - before
        if way.flying < way.window:
            way.tenant.ready[way] = None

    def forget_way(self, way: Way) -> None:
        """Drop a way of which everything is final, and its tenant."""
        tenant = way.tenant
        if way.flights or way.is_submitting or (tenant.noted and way.notes):
            return
        tenant.ways.pop(way.key, None)
        if not tenant.ways:
            self.forget(tenant)

    def forget(self, tenant: Tenant) -> None:
        """Drop *tenant* when everything of it is final."""
        if not tenant.ways and not tenant.notes and self._tenants.get(tenant.key) is tenant:
            del self._tenants[tenant.key]

    def oldest(self) -> int | None:
        """Return the first frame that is not final, None when all are."""
        return min(
            (
                n
                for tenant in self._tenants.values()
                for n in (
                    *(() if not tenant.notes else (tenant.notes.first,)),
                    *(way.oldest for way in tenant.ways.values()),
                )
                if n is not None
            ),
            default=None,
        )

    def open(self) -> list[int]:
        """Return all frames that are not final, ascending."""
        found: set[int] = set()
        for tenant in self._tenants.values():
            found.update(tenant.notes)
            for way in tenant.ways.values():
                found.update(way.notes)
                found.update(flight.n for flight in way.flights)
        return sorted(found)

    def _onto(self, way: Way, n: int, pushes: list[Push], now: float) -> bool:
        if (way.tenant.noted and way.notes) or not self._send(way, n, pushes, now):
            self._note(way, n)
        return bool(way.outbox)

    def _note(self, way: Way, n: int) -> None:
        way.notes.add(n)
        way.tenant.noted += 1
        self._noted += 1
        if way.flying < way.window:
            way.tenant.ready[way] = None

    def _send(self, way: Way, n: int, pushes: list[Push], now: float) -> bool:
        """Put those of *pushes* that were not yet sent into the outbox, tell whether all are."""
        tenant = way.tenant
        for push in pushes[way.sent :]:
            if way.flying >= way.window or not self.has_room(tenant):
                if way.flying >= way.window:
                    tenant.ready.pop(way, None)
                return False
            flight = Flight(n, len(push.entries) + PUSH_BYTES, now, index=way.sent)
            way.flights.append(flight)
            way.outbox.append((push, flight))
            if not tenant.flying:
                tenant.moved_at = now
            self._count(way, flight.size)
            way.sent += 1
        way.sent = 0
        return True

    def _count(self, way: Way, size: int) -> None:
        tenant = way.tenant
        way.flying += size
        tenant.flying += size
        self.flying += size
        if tenant.is_held:
            self.held_flying += size

    def _drop_note(self, way: Way) -> None:
        way.notes.drop_first()
        way.sent = 0
        way.tenant.noted -= 1
        self._noted -= 1
        if not way.notes or way.flying >= way.window:
            way.tenant.ready.pop(way, None)
