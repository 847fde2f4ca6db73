"""
Which field manager wrote a version: the managedFields entry that changed against the version before. Pure.

Times in managedFields are whole seconds, and an entry's time moves only with its fields; so several writes within a
second can leave every entry as it was. Then the newest entries are asked which of them owns the section that changed.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from agent.watch.decoding import ManagedEntry
from agent.watch.times import parse_time
from kubescribe.wire.records import Actor

Signature = tuple[int, ...]
"""What is remembered of a version's managedFields: one hash an entry."""

_METADATA_FIELDS = b'"f:metadata"'


def sign(entries: list[ManagedEntry]) -> Signature:
    """Return the signature of *entries*; the length of the fields stands for the fields."""
    return tuple(
        [hash((entry.manager, entry.operation, entry.subresource, entry.time, len(entry.fields))) for entry in entries]
    )


def find_actor(
    entries: list[ManagedEntry], signature: Signature, before: Signature | None, changed: Callable[[], Sequence[str]]
) -> Actor | None:
    """
    Return who wrote the version with *entries*; None when the object does not tell.

    *before* is the signature of the version before, None at first sight: then it is who wrote last. *changed* names
    the sections that differ, `metadata` among them; it is asked only when the entries leave it open.
    """
    if not entries:
        return None
    if before is None:
        return _as_actor(_newest(entries, changed()))
    moved = [entry for entry, digest in zip(entries, signature, strict=True) if digest not in before]
    if len(moved) == 1:
        return _as_actor(moved[0])
    if moved:
        return _as_actor(_newest(moved, changed()))
    sections = changed()
    owners = [entry for entry in _latest(entries) if any(_owns(entry, section) for section in sections)]
    return _as_actor(owners[-1]) if owners else None


def _newest(entries: list[ManagedEntry], changed: Sequence[str]) -> ManagedEntry:
    latest = _latest(entries)
    if len(latest) == 1:
        return latest[0]
    owners = [entry for entry in latest if any(_owns(entry, section) for section in changed)]
    return (owners or latest)[-1]


def _latest(entries: list[ManagedEntry]) -> list[ManagedEntry]:
    # RFC 3339 in UTC with whole seconds: the order of the texts is the order of the times.
    newest = max(entry.time or "" for entry in entries)
    return [entry for entry in entries if (entry.time or "") == newest]


def _owns(entry: ManagedEntry, section: str) -> bool:
    if section == "status":
        return entry.subresource == "status" or b'"f:status"' in bytes(entry.fields)
    if section == "metadata":
        return _METADATA_FIELDS in bytes(entry.fields)
    return entry.subresource != "status" and f'"f:{section}"'.encode() in bytes(entry.fields)


def _as_actor(entry: ManagedEntry) -> Actor | None:
    return _actor(entry.manager, entry.operation, entry.subresource, entry.time) if entry.manager else None


@lru_cache(maxsize=1024)
def _actor(manager: str, operation: str, subresource: str, time: str | None) -> Actor:
    """Return the actor; the last ones are remembered, since a few managers write nearly everything of a second."""
    return Actor(manager=manager, operation=operation, subresource=subresource, time=parse_time(time) if time else None)
