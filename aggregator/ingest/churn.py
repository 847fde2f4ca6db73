"""
Is a version news for the journal? Pure.

The agent drops churn against the version that it saw before; after its restart, and for whole lists, only the journal
still knows that version, so the same question is asked here of the patch.
"""

import msgspec

_HEARTBEATS = frozenset({"lastHeartbeatTime", "lastProbeTime", "renewTime", "reconciledAt"})
_ENDS = tuple(f'"{name}"],'.encode() for name in sorted(_HEARTBEATS))
"""How a path ends that leads to one. Most patches hold none of them, and need not be decoded."""


class _Step(msgspec.Struct, frozen=True, gc=False):
    path: list[object]


_STEPS = msgspec.json.Decoder(list[_Step])


def is_churn(patch: bytes, *, listed: bool) -> bool:
    """
    Tell whether *patch* says nothing: only heartbeat times, or nothing at all of a listed object.

    An empty patch of a watched version is kept: the agent saw a difference outside the body (a generation that moved).
    """
    if patch == b"[]":
        return listed
    for end in _ENDS:  # asked of each change, where `any` costs more than the search
        if end in patch:
            return all(_is_heartbeat(step.path) for step in _STEPS.decode(patch))
    return False


def _is_heartbeat(path: list[object]) -> bool:
    # An element of a list stands in a path as its merge key, an object.
    return bool(path) and isinstance(path[-1], str) and path[-1] in _HEARTBEATS
