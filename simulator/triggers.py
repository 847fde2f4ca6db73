"""
The index of a watch cache: objects and watchers by the value of one field (the cacher's indexedTrigger).

A watch or a list that asks for exactly one value is served from that value's share alone, so that 200 watches by
`spec.nodeName` cost a write no more than one does.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from simulator.versions import Event, Version

Key = tuple[str, str]


class Listener(Protocol):
    """What takes the events of a value."""

    def offer(self, events: list[Event]) -> None:
        """Take events, in order; must not wait."""
        ...


class TriggerIndex:
    """The objects and the watchers of one resource by the value of *path*; absent values are the empty string."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._objects: dict[str, dict[Key, Version]] = {}
        self._watchers: dict[str, dict[Listener, None]] = {}

    def reset(self, versions: Iterable[Version]) -> None:
        """Begin anew with *versions*; the watchers stay."""
        self._objects.clear()
        for version in versions:
            self.put(version, None)

    def put(self, version: Version, previous: Version | None) -> None:
        """Enter a version in the place of the one before it."""
        value = self._value(version)
        if previous is not None and (old := self._value(previous)) != value:
            self._strike(old, previous.key)
        self._objects.setdefault(value, {})[version.key] = version

    def remove(self, version: Version) -> None:
        """Strike out an object that is gone."""
        self._strike(self._value(version), version.key)

    def of(self, value: str) -> Mapping[Key, Version]:
        """Return the objects of a value, to be read only."""
        return self._objects.get(value, {})

    def watch(self, watcher: Listener, value: str) -> None:
        """Have *watcher* told of every event that is about *value*: of the object before it, or after it."""
        self._watchers.setdefault(value, {})[watcher] = None

    def unwatch(self, watcher: Listener, value: str) -> None:
        """End it."""
        watchers = self._watchers.get(value, {})
        watchers.pop(watcher, None)
        if not watchers:
            self._watchers.pop(value, None)

    def concerns(self, event: Event, value: str) -> bool:
        """Tell whether an event is about *value*."""
        before = event.previous
        return self._value(event.version) == value or (before is not None and self._value(before) == value)

    def dispatch(self, events: Iterable[Event]) -> None:
        """Hand each event to the watchers of its old and of its new value, and to nobody else."""
        if not self._watchers:
            return
        shares: dict[str, list[Event]] = {}
        for event in events:
            value = self._value(event.version)
            if value in self._watchers:
                shares.setdefault(value, []).append(event)
            if event.previous is not None and (old := self._value(event.previous)) != value and old in self._watchers:
                shares.setdefault(old, []).append(event)
        for value, share in shares.items():
            for watcher in self._watchers[value]:
                watcher.offer(share)

    def _value(self, version: Version) -> str:
        return version.facts.fields.get(self._path, "")

    def _strike(self, value: str, key: Key) -> None:
        objects = self._objects.get(value)
        if objects is not None:
            objects.pop(key, None)
            if not objects:
                del self._objects[value]
