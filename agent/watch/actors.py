"""
Which field manager wrote a version: the managedFields entry that changed against the version before. Pure.

Times in managedFields are whole seconds, and an entry's time moves only with its fields; so several writes within a
second can leave every entry as it was. Then the newest entries are asked which of them owns the section that changed.
"""

from collections.abc import Sequence
from functools import lru_cache

from agent.watch.decoding import ManagedEntry
from agent.watch.times import parse_time
from kubescribe.wire.records import Actor

Signature = tuple[int, ...]
"""What is remembered of a version's managedFields: one hash an entry."""

_METADATA_FIELDS = b'"f:metadata"'


def sign(entries: list[ManagedEntry]) -> Signature:
    """Return the signature of *entries*."""
    return tuple([sign_entry(entry) for entry in entries])


def sign_entry(entry: ManagedEntry) -> int:
    """Return the signature of one entry; the length of the fields stands for the fields."""
    return sign_parts(entry, entry.time, len(entry.fields))


def sign_parts(entry: ManagedEntry, time: str | None, size: int) -> int:
    """Return the signature that *entry* has at another *time*, with fields of *size* bytes."""
    return hash((entry.manager, entry.operation, entry.subresource, time, size))


def moved_since(entries: list[ManagedEntry], signature: Signature, before: Signature) -> list[ManagedEntry]:
    """Return those of *entries*, whose signature is *signature*, that the version signed as *before* did not have."""
    return [entry for entry, digest in zip(entries, signature, strict=True) if digest not in before]


def find_actor(entries: list[ManagedEntry], changed: Sequence[str]) -> Actor | None:
    """
    Return who wrote last of those who wrote *entries*, the moved ones or, at first sight, all; None when nobody did.

    *changed* names the sections that differ, `metadata` among them: among several of the last second it decides.
    """
    return actor_of(_newest(entries, changed)) if entries else None


def find_owner(entries: list[ManagedEntry], changed: Sequence[str]) -> Actor | None:
    """Return the last writer who owns one of the *changed* sections, when no entry moved; None when nobody does."""
    owners = [entry for entry in _latest(entries) if any(_owns(entry, section) for section in changed)]
    return actor_of(owners[-1]) if owners else None


def actor_of(entry: ManagedEntry) -> Actor | None:
    """Return the writer of *entry*; None when it has no name."""
    return _actor(entry.manager, entry.operation, entry.subresource, entry.time) if entry.manager else None


def _newest(entries: list[ManagedEntry], changed: Sequence[str]) -> ManagedEntry:
    latest = _latest(entries)
    if len(latest) == 1:
        return latest[0]
    owners = [entry for entry in latest if any(_owns(entry, section) for section in changed)]
    return (owners or latest)[-1]


def _latest(entries: list[ManagedEntry]) -> list[ManagedEntry]:
    # RFC 3339 in UTC with whole seconds: the order of the texts is the order of the times.
    newest = max((entry.time or "" for entry in entries), default="")
    return [entry for entry in entries if (entry.time or "") == newest]


def _owns(entry: ManagedEntry, section: str) -> bool:
    if section == "status":
        return entry.subresource == "status" or b'"f:status"' in bytes(entry.fields)
    if section == "metadata":
        return _METADATA_FIELDS in bytes(entry.fields)
    return entry.subresource != "status" and f'"f:{section}"'.encode() in bytes(entry.fields)


@lru_cache(maxsize=1024)
def _actor(manager: str, operation: str, subresource: str, time: str | None) -> Actor:
    """Return the actor; the last ones are remembered, since a few managers write nearly everything of a second."""
    return Actor(manager=manager, operation=operation, subresource=subresource, time=parse_time(time) if time else None)
