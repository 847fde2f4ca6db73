"""
The ground that every controller stands on: the store, the time, the agenda, the randomness, the Events.

A controller reads an object from the store when its action is due, never from memory, so that a store which
was changed behind its back is met as the real components meet it. Not a place for any controller's logic.
"""

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from simulator.world.agenda import Action, Agenda
from simulator.world.naming import stamp
from simulator.world.registry import Registry
from simulator.world.wholeness import is_whole

Object = dict[str, Any]


class Store(Protocol):
    """The part of the pretend etcd that the world uses; `resource` is the plural name."""

    def create(self, resource: str, obj: Object, *, manager: str) -> Object:
        """Store a new object and return it as stored."""
        ...

    def update(self, resource: str, obj: Object, *, manager: str, subresource: str = "") -> Object:
        """Replace an object (or its status) and return it as stored."""
        ...

    def delete(self, resource: str, namespace: str, name: str) -> object:
        """Remove an object at once."""
        ...

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return a copy of an object, or None."""
        ...

    def list(self, resource: str, namespace: str = "") -> Sequence[Object]:
        """Return copies of all objects of a resource, of one namespace if given, ordered by key."""
        ...


class Cluster:
    """
    One pretend cluster as its controllers see it.

    `now` is the time of the action that runs. All delays are in the cluster's own seconds; *pace* is how many
    of them pass in a second of the clock.
    """

    def __init__(self, store: Store, *, seed: int, pace: float, now: float) -> None:
        self.store = store
        self.rng = random.Random(seed)
        self.pace = pace
        self.now = now
        self.agenda = Agenda()
        self.registry = Registry()

    @property
    def stamp(self) -> str:
        """The present time as an API object carries it."""
        return stamp(self.now)

    def after(self, seconds: float, action: Action, key: Hashable = None) -> None:
        """Do *action* in *seconds*; with a *key*, once, however often it is asked for while it waits."""
        self.agenda.add(self.now + seconds / self.pace, action, key)

    def between(self, low: float, high: float) -> float:
        """Return a random number of seconds."""
        return self.rng.uniform(low, high)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return a copy of an object, or None when it is gone, or is nothing that controllers can work with."""
        obj = self.store.get(resource, namespace, name)
        return obj if obj is not None and is_whole(resource, obj) else None

    def list_whole(self, resource: str, namespace: str = "") -> list[Object]:
        """Return copies of those objects of a resource that controllers can work with, ordered by key."""
        return [obj for obj in self.store.list(resource, namespace) if is_whole(resource, obj)]

    def create(self, resource: str, obj: Object, manager: str) -> Object:
        """Create *obj*; return it as stored."""
        return self.store.create(resource, obj, manager=manager)

    def edit(
        self,
        resource: str,
        namespace: str,
        name: str,
        change: Callable[[Object], None],
        *,
        manager: str,
        subresource: str = "",
    ) -> Object | None:
        """Read, *change* in place and write back what changed; return the object, or None when it is gone."""
        obj = self.store.get(resource, namespace, name)
        if obj is None:
            return None
        change(obj)
        return self.store.update(resource, obj, manager=manager, subresource=subresource)

    def write_status(self, resource: str, obj: Object, status: Object, manager: str) -> None:
        """Write *status* if it differs from what *obj* has: a controller that changes nothing writes nothing."""
        if obj.get("status") != status:
            obj["status"] = status
            self.store.update(resource, obj, manager=manager, subresource="status")

    def exists(self, resource: str, namespace: str, name: str) -> bool:
        """Tell whether the object is there."""
        return self.store.get(resource, namespace, name) is not None


def owner_reference(api_version: str, kind: str, owner: Mapping[str, Any]) -> Object:
    """Return the reference by which a controller owns what it makes."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def copied(value: Any) -> Any:
    """Return a deep copy of JSON data; several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value
