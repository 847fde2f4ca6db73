"""
The watch caches: what lists and watches are answered from, one for each resource, following the store.

A resource may have an index (`triggers.py`), through which watches and lists of one value are served. As the real
cacher the caches can lag (a delay), lose a delete for good (kubernetes#123072), and remember a bounded window of
events, before which a watch expires. Events have no cache: theirs is the same class following without any lag, its
window reaching back to the store's compaction. Not a place for HTTP or for selectors.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from simulator.errors import SimulatorError
from simulator.etcd import Etcd, Key
from simulator.kinds import BUILT_IN, CUSTOM
from simulator.resource import Resource
from simulator.triggers import TriggerIndex
from simulator.versions import ADDED, DELETED, MODIFIED, Event, Version


class Expired(SimulatorError):
    """The window does not reach back that far; *floor* is the oldest version that it serves."""

    def __init__(self, floor: int) -> None:
        super().__init__(f"the window begins at {floor}")
        self.floor = floor


class Watcher:
    """The events that one watch has yet to send. Overflow ends the watch, as the real server's does."""

    def __init__(self, limit: int) -> None:
        self.wake = asyncio.Event()
        self.overflowed = False
        self.on_overflow: Callable[[], None] | None = None
        """Called once, so that a write which waits for the slow client ends too."""
        self._limit = limit
        self._pending: list[Event] = []

    def offer(self, events: Sequence[Event]) -> None:
        """Add events, unless the watch is already lost."""
        if self.overflowed:
            return
        if len(self._pending) + len(events) > self._limit:
            # cache_watcher.go: "Forcing watcher close due to unresponsiveness".
            self.overflowed = True
            self._pending.clear()
            if self.on_overflow is not None:
                self.on_overflow()
        else:
            self._pending.extend(events)
        self.wake.set()

    def close(self) -> None:
        """Take nothing any more: a watch that nobody reads costs no memory."""
        self.overflowed = True
        self._pending.clear()

    def take(self) -> list[Event]:
        """Return what is pending, in order, and forget it."""
        pending, self._pending = self._pending, []
        return pending


class WatchCache:
    """The cache of one resource."""

    def __init__(self, resource: Resource, window_events: int) -> None:
        self.resource = resource
        self.revision = 0
        self.floor = 0
        self.delay_seconds = 0.0
        self.deletes_to_lose = 0
        self._watchers: dict[Watcher, None] = {}
        self._index = TriggerIndex(resource.trigger) if resource.trigger else None
        self._state: dict[Key, Version] = {}
        self._window: deque[Event] = deque()
        self._window_events = window_events
        self._late: deque[tuple[float, list[Event], int]] = deque()
        self._advanced = asyncio.Event()

    @property
    def state(self) -> dict[Key, Version]:
        """The living versions as the cache knows them; to be read only."""
        return self._state

    def reset(self, etcd: Etcd) -> None:
        """
        Begin anew from the store, as a restarted API server does; only Events remember what was before.

        Though etcd still has its history, the real cacher begins with a list and an empty window, and answers 410 to a
        watch from below that list (KEP-1904, which rejects a window filled from etcd). Events are watched in etcd.
        """
        self._state = dict(etcd.state(self.resource))
        if self._index is not None:
            self._index.reset(self._state.values())
        self._window.clear()
        self._late.clear()
        self.deletes_to_lose = 0
        self.revision = etcd.revision
        self.floor = etcd.revision
        if not self.resource.cached:
            self.floor, events = etcd.remembered(self.resource)
            for event in events:
                self._remember(event)

    def of_value(self, value: str | None) -> Mapping[Key, Version]:
        """Return the living versions whose trigger field is *value*; None, or no such index, for all."""
        return self._state if value is None or self._index is None else self._index.of(value)

    def watch(self, watcher: Watcher, value: str | None = None) -> None:
        """Have *watcher* offered what comes from now on: all of it, or what is about a *value* of the trigger field."""
        if value is None or self._index is None:
            self._watchers[watcher] = None
        else:
            self._index.watch(watcher, value)

    def unwatch(self, watcher: Watcher, value: str | None = None) -> None:
        """End a watch that began with the same arguments; idempotent."""
        self._watchers.pop(watcher, None)
        if value is not None and self._index is not None:
            self._index.unwatch(watcher, value)

    def take(self, events: list[Event], revision: int) -> None:
        """Follow the store, now or after the delay."""
        if self.delay_seconds <= 0 and not self._late:
            self._apply(events, revision)
            return
        loop = asyncio.get_running_loop()
        self._late.append((loop.time() + self.delay_seconds, events, revision))
        loop.call_later(self.delay_seconds, self._catch_up)

    def hurry(self) -> None:
        """End the delay: everything that waited arrives now."""
        self.delay_seconds = 0.0
        while self._late:
            _, events, revision = self._late.popleft()
            self._apply(events, revision)

    def since(self, revision: int, value: str | None = None) -> list[Event]:
        """
        Return the window's events after *revision*, oldest first; Expired if it does not reach back there.

        With a *value* of the trigger field, those that are about it.
        """
        index = None if value is None else self._index
        if revision < self.floor:
            raise Expired(self.floor)
        events = []
        for event in reversed(self._window):
            if event.revision <= revision:
                break
            if index is None or value is None or index.concerns(event, value):
                events.append(event)
        events.reverse()
        return events

    def at(self, revision: int, value: str | None = None) -> Mapping[Key, Version]:
        """
        Return the state at an older revision, by undoing the window; Expired if it does not reach back there.

        A *value* of the trigger field may spare looking at the others: they may be among what is returned.
        """
        if revision >= self.revision:
            return self.of_value(value)
        state = dict(self._state)
        for event in reversed(self.since(revision)):
            if event.previous is None:
                state.pop(event.version.key, None)
            else:
                state[event.version.key] = event.previous
        return state

    def expire(self, floor: int) -> None:
        """Forget the window below *floor*."""
        self.floor = max(self.floor, floor)
        while self._window and self._window[0].revision <= self.floor:
            self._window.popleft()

    async def reached(self, revision: int, timeout_seconds: float) -> bool:
        """Wait until the cache is at *revision*; False when it is not in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.revision < revision:
                    self._advanced.clear()
                    await self._advanced.wait()
        except TimeoutError:
            return False
        return True

    def _catch_up(self) -> None:
        now = asyncio.get_running_loop().time()
        # Timers may fire a hair early: a millisecond of tolerance keeps none of them waiting for ever.
        while self._late and self._late[0][0] <= now + 0.001:
            _, events, revision = self._late.popleft()
            self._apply(events, revision)

    def _apply(self, events: list[Event], revision: int) -> None:
        known = [kept for event in events if (kept := self._known(event)) is not None]
        for event in known:
            self._remember(event)
        self.revision = revision
        self._advanced.set()
        if known:
            for watcher in self._watchers:
                watcher.offer(known)
            if self._index is not None:
                self._index.dispatch(known)

    def _known(self, event: Event) -> Event | None:
        """Return the event as this cache sees it: against its own state, which may have lost a delete."""
        key = event.version.key
        if event.type == DELETED:
            if self.deletes_to_lose > 0:
                self.deletes_to_lose -= 1
                return None
            gone = self._state.pop(key, None)
            if gone is not None and self._index is not None:
                self._index.remove(gone)
            return event
        previous = self._state.get(key)
        self._state[key] = event.version
        if self._index is not None:
            self._index.put(event.version, previous)
        if previous is event.previous:
            return event
        return Event(event.revision, ADDED if previous is None else MODIFIED, event.version, previous)

    def _remember(self, event: Event) -> None:
        self._window.append(event)
        if len(self._window) > self._window_events:
            self.floor = self._window.popleft().revision


class WatchCaches:
    """The caches of all resources."""

    def __init__(self, etcd: Etcd, window_events: int) -> None:
        self._etcd = etcd
        self._caches = {resource: WatchCache(resource, window_events) for resource in (*BUILT_IN, *CUSTOM)}

    def open(self) -> None:
        """Load the present state and follow the store from here on."""
        self.reset()
        self._etcd.subscribe(self._announce)
        self._etcd.on_restore(self.reset)

    def reset(self) -> None:
        """Begin all caches anew."""
        for cache in self._caches.values():
            cache.reset(self._etcd)

    def of(self, resource: Resource) -> WatchCache:
        """Return the cache of a resource."""
        return self._caches[resource]

    def matching(self, resource: Resource | None) -> list[WatchCache]:
        """Return the cache of a resource, or all of them."""
        return list(self._caches.values()) if resource is None else [self._caches[resource]]

    def _announce(self, events: Sequence[Event], revision: int) -> None:
        by_resource: dict[Resource, list[Event]] = {}
        for event in events:
            by_resource.setdefault(event.version.resource, []).append(event)
        for resource, cache in self._caches.items():
            cache.take(by_resource.get(resource, []), revision)
