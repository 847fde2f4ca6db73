"""
The store: one growing revision for everything, every write kept, older states restorable.

It plays etcd and the API server's registry above it: uids, creation times, generations, field ownership, and
the subresource rules. Reads are of the present; lists and watches are the watch cache's business. A write is
announced after it is in the history's file, in the order of revisions, never before.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

import msgspec

from simulator.errors import StoreRefused
from simulator.history import CLUSTER, COMPACTED, RESTORED, TOUCHED, History, Record
from simulator.loading import REMEMBERED_EVENTS, State, loaded
from simulator.registering import created, named, namespace_object, updated
from simulator.resource import Resource
from simulator.resources import ResourceTable
from simulator.versions import ADDED, DELETED, MODIFIED, Event, Object, Version, facts_of, rendered

Key = tuple[str, str]
Announcement = Callable[[Sequence[Event], int], None]
"""Called with the new events and the revision that the store has reached."""


class Etcd:
    """The pretend etcd of one cluster. Not for several loops or threads."""

    def __init__(
        self,
        table: ResourceTable,
        history: History,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        identity: str = "",
    ) -> None:
        self.table = table
        self.history = history
        self.revision = 0
        self.era = 0
        self.compacted = 0
        self._clock = clock
        self._identity = identity or secrets.token_hex(8)
        self._created = 0
        self._state: State = {}
        self._remembered: dict[Resource, deque[Event]] = {}
        self._subscribers: list[Announcement] = []
        self._restore_hooks: list[Callable[[], None]] = []
        self._pending: list[Event] = []
        self._lines: list[bytes] = []
        self._scheduled = False

    def open(self) -> None:
        """Load what the history holds; a new history gets its identity and the namespaces every cluster has."""
        self.history.open()
        self._load(None)
        if not self._created:
            self._lines.append(self._marker(CLUSTER, identity=self._identity))
            for name in ("kube-system", "kube-public", "kube-node-lease", "default"):
                self.create("namespaces", namespace_object(name), manager="kube-apiserver")
            self.flush()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.flush()
        self.history.close()

    # Reading

    @property
    def stamp(self) -> str:
        """The present time as an object carries it."""
        return self._time()

    def get(self, resource: str | Resource, namespace: str, name: str) -> Object | None:
        """Return a copy of an object with kind and apiVersion, or None."""
        found = self.table.find(resource)
        version = self.version(found, namespace, name)
        return None if version is None else named(found, version.object())

    def list(self, resource: str | Resource, namespace: str = "") -> list[Object]:
        """Return copies of all objects of a resource, of one namespace if given, in the order of keys."""
        found = self.table.find(resource)
        state = self.state(found)
        return [named(found, state[key].object()) for key in sorted(state) if not namespace or key[0] == namespace]

    def version(self, resource: Resource, namespace: str, name: str) -> Version | None:
        """Return the present version of an object; what is returned is on disk."""
        self.flush()
        return self.state(resource).get((namespace, name))

    def state(self, resource: Resource) -> dict[Key, Version]:
        """Return the living versions of a resource: the store's own dict, to be read only."""
        return self._state.setdefault(resource, {})

    # Writing

    def create(self, resource: str | Resource, obj: Object, *, manager: str) -> Object:
        """
        Store a new object and return it as stored. A status that it brings is kept, and is owned by nobody.

        Raises StoreRefused if the name is taken. `generateName` gets five letters.
        """
        found = self.table.find(resource)
        metadata = dict(obj.get("metadata", {}))
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self._uid()[:5]
        key = metadata.get("namespace", "") if found.namespaced else "", metadata["name"]
        if key in self.state(found):
            raise StoreRefused(f"{found.name} {metadata['name']!r} already exists", is_missing=False)
        metadata["uid"] = self._uid()
        self._created += 1
        return self._store(found, created(found, {**obj, "metadata": metadata}, manager, self._time()), None)

    def update(self, resource: str | Resource, obj: Object, *, manager: str, subresource: str = "") -> Object:
        """
        Replace an object and return it as stored; a write that changes nothing is none, as on the real server.

        With subresource "status" only status and metadata are taken from *obj*; without, a resource that has a
        status of its own keeps it. A "binding" is the server's own write: node, labels and condition in one,
        owned by nobody. Raises StoreRefused if there is no such object.
        """
        found = self.table.find(resource)
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "") if found.namespaced else ""
        previous = self.state(found).get((namespace, metadata["name"]))
        if previous is None:
            raise StoreRefused(f"{found.name} {metadata['name']!r} not found", is_missing=True)
        old = previous.object()
        new = updated(found, old, obj, manager=manager, subresource=subresource, time=self._time())
        return named(found, old) if new is None else self._store(found, new, previous)

    def put_rendered(self, previous: Version, head: bytes, tail: bytes) -> Version:
        """
        Store a version whose body is *head*, the resourceVersion's digits, *tail*: the fast path of load.

        The caller promises a body that `rendered` could have made, of the same uid, labels and selectable fields.
        """
        self.revision += 1
        version = Version(
            previous.resource,
            previous.namespace,
            previous.name,
            previous.uid,
            self.revision,
            b"%b%d%b" % (head, self.revision, tail),
            previous.facts,
        )
        self._write(Event(self.revision, MODIFIED, version, previous))
        return version

    def delete(self, resource: str | Resource, namespace: str, name: str) -> Object:
        """Remove an object at once; return it with the delete's own resourceVersion."""
        found = self.table.find(resource)
        previous = self.state(found).get((namespace if found.namespaced else "", name))
        if previous is None:
            raise StoreRefused(f"{found.name} {name!r} not found", is_missing=True)
        self.revision += 1
        self._write(Event(self.revision, DELETED, previous.at(self.revision), previous))
        return named(found, previous.object())

    def touch(self) -> int:
        """Raise the revision without a change of a served object, as a Lease of another system does; return it."""
        self.revision += 1
        self._lines.append(self._marker(TOUCHED))
        self._schedule()
        return self.revision

    def compact(self, revision: int) -> None:
        """Forget how things stood before *revision*: older continue tokens and Event watches expire."""
        self.flush()
        self.compacted = max(self.compacted, min(revision, self.revision))
        self.history.append([self._marker(COMPACTED, revision=self.compacted)])

    def restore(self, revision: int) -> None:
        """Return to the state at an older *revision*; the next write is numbered from there. Raises era."""
        self.flush()
        if not 0 < revision <= self.revision:
            raise StoreRefused(f"no state at revision {revision}, the store is at {self.revision}", is_missing=True)
        self.era += 1
        self.history.append([self._marker(RESTORED, revision=revision)])
        self._load(revision)
        for hook in self._restore_hooks:
            hook()

    # Following

    def subscribe(self, announce: Announcement) -> None:
        """Call *announce* after each flush with its events; it must not wait."""
        self._subscribers.append(announce)

    def on_restore(self, hook: Callable[[], None]) -> None:
        """Call *hook* when an older state has come back."""
        self._restore_hooks.append(hook)

    def remembered(self, resource: Resource) -> tuple[int, Sequence[Event]]:
        """
        Return the past writes of a resource without a cache, as the history told them when it was loaded.

        With them the revision from which they are complete: the compaction, or where memory begins.
        """
        events = list(self._remembered.get(resource, ()))
        floor = events[0].revision if len(events) == REMEMBERED_EVENTS else 0
        return max(self.compacted, floor), [event for event in events if event.revision > self.compacted]

    def flush(self) -> None:
        """Write what is pending to the history, then announce it."""
        self._scheduled = False
        if not self._lines:
            return
        lines, events = self._lines, self._pending
        self._lines, self._pending = [], []
        self.history.append(lines)
        for announce in self._subscribers:
            announce(events, self.revision)

    def _store(self, resource: Resource, obj: Object, previous: Version | None) -> Object:
        self.revision += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.revision)
        version = Version(
            resource,
            metadata.get("namespace", "") if resource.namespaced else "",
            metadata["name"],
            metadata["uid"],
            self.revision,
            rendered(obj),
            # Where every write is looked at by its index, they are taken while the object is at hand.
            facts_of(resource, obj) if resource.trigger else None,
        )
        self._write(Event(self.revision, ADDED if previous is None else MODIFIED, version, previous))
        return named(resource, version.object())

    def _write(self, event: Event) -> None:
        version = event.version
        state = self.state(version.resource)
        if event.type == DELETED:
            del state[version.key]
        else:
            state[version.key] = version
        self._pending.append(event)
        self._lines.append(
            b'{"revision":%d,"era":%d,"type":"%b","resource":"%b","namespace":"%b","name":%b,"uid":"%b","object":%b}\n'
            % (
                event.revision,
                self.era,
                event.type.encode(),
                version.resource.name.encode(),
                version.namespace.encode(),
                msgspec.json.encode(version.name),
                version.uid.encode(),
                version.body,
            ),
        )
        self._schedule()

    def _schedule(self) -> None:
        """Flush in the next turn of the loop, so that a burst is one frame and one announcement."""
        if self._scheduled:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._scheduled = True
        loop.call_soon(self.flush)

    def _marker(self, kind: str, *, revision: int | None = None, identity: str = "") -> bytes:
        record = Record(self.revision if revision is None else revision, self.era, kind, identity=identity)
        return msgspec.json.encode(record) + b"\n"

    def _load(self, revision: int | None) -> None:
        """Take over what the history amounts to."""
        found = loaded(self.history, self.table, revision)
        self.revision, self.compacted, self.era = found.revision, found.compacted, max(self.era, found.era)
        self._identity = found.identity or self._identity
        self._created = found.created
        self._state, self._remembered = found.state, found.remembered

    def _uid(self) -> str:
        """Return a uid that this cluster never gave before: a function of its identity and the count of creations."""
        digest = blake2b(f"{self._identity}/{self.era}/{self._created}".encode(), digest_size=16).digest()
        return str(UUID(bytes=digest, version=4))

    def _time(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
