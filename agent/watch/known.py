"""
What a stream remembers of each object: hashes, never bodies. Bounded by the number of living objects.

It serves the churn filter, the actor and the hourly check; it is not the cluster's state, which is the journal's.
"""

from collections.abc import Iterator

import msgspec

from agent.watch.actors import Signature


class Known(msgspec.Struct, gc=False):
    """One living object, as of its last version."""

    name: str
    namespace: str
    resource_version: int
    seen_at: int
    digest: int = 0
    sections: tuple[int, ...] = ()
    entries: Signature = ()
    node: str = ""
    is_leaving: bool = False


class KnownObjects:
    """The living objects of one stream by uid."""

    def __init__(self) -> None:
        self._objects: dict[str, Known] = {}
        self.is_complete = False
        """Whether a list has told all of them; after a resume only those that changed since are known."""

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, uid: str) -> Known | None:
        """Return the object with *uid*, if it is known."""
        return self._objects.get(uid)

    def put(self, uid: str, known: Known) -> None:
        """Remember a version."""
        self._objects[uid] = known

    def drop(self, uid: str) -> Known | None:
        """Forget an object that is gone."""
        return self._objects.pop(uid, None)

    def keep_only(self, uids: set[str]) -> None:
        """Forget every object that a complete list did not hold."""
        self._objects = {uid: known for uid, known in self._objects.items() if uid in uids}
        self.is_complete = True

    def items(self) -> Iterator[tuple[str, Known]]:
        """Yield uid and object of all of them."""
        yield from self._objects.items()

    def quiet_since(self, before: int) -> list[tuple[str, Known]]:
        """Return uid and object of those that were last seen before *before*, the longest unseen first."""
        quiet = [(uid, known) for uid, known in self._objects.items() if known.seen_at < before]
        return sorted(quiet, key=lambda pair: pair[1].seen_at)
