"""
Changes to states: the `objects` topic says how each object is, where `changes` says what happened to it.

A state carries no diff (what lies between may have been coalesced away) and no body (`GET objects/{uid}` has it).
"""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from aggregator.records import Published


class _Change(msgspec.Struct, rename="camel", gc=False):
    """What a state keeps of a change, as the change's JSON has it."""

    seq: int
    epoch: int
    cluster: msgspec.Raw
    kind: msgspec.Raw
    namespace: msgspec.Raw
    name: msgspec.Raw
    uid: str
    resource_version: msgspec.Raw
    generation: msgspec.Raw
    verb: str
    actor: msgspec.Raw
    observed_at: msgspec.Raw
    committed_at: msgspec.Raw
    late: bool = False


_CHANGE = msgspec.json.Decoder(_Change)
_TEXT = msgspec.json.Encoder().encode
_GONE = frozenset({"deleted", "inferredDeleted"})


def latest_states(changes: Iterable[Published]) -> list[Published]:
    """
    Return the state that each object of *changes* (ascending by seq) came to, ascending by seq.

    A late change is older than its object's state and says nothing about it.
    """
    latest: dict[tuple[str, str], tuple[Published, _Change]] = {}
    for item in changes:
        change = _CHANGE.decode(item.json)
        if change.late:
            continue
        key = (item.facets.kind or str(bytes(change.kind)), change.uid)
        latest.pop(key, None)
        latest[key] = (item, change)
    return [replace(item, topic="objects", json=_render(change)) for item, change in latest.values()]


def state_of(json: bytes) -> tuple[str, bytes] | None:
    """Return (uid, state) of one change's JSON, None when the change is late."""
    change = _CHANGE.decode(json)
    return None if change.late else (change.uid, _render(change))


def _render(it: _Change) -> bytes:
    return (
        b'{"type":"object","seq":%d,"epoch":%d,"cluster":%b,"kind":%b,"namespace":%b,"name":%b,"uid":%b,'
        b'"resourceVersion":%b,"generation":%b,"verb":"%b","gone":%b,"uncertain":false,"actor":%b,"observedAt":%b,"committedAt":%b}'
    ) % (
        it.seq,
        it.epoch,
        bytes(it.cluster),
        bytes(it.kind),
        bytes(it.namespace),
        bytes(it.name),
        _TEXT(it.uid),
        bytes(it.resource_version),
        bytes(it.generation),
        it.verb.encode(),
        b"true" if it.verb in _GONE else b"false",
        bytes(it.actor),
        bytes(it.observed_at),
        bytes(it.committed_at),
    )
