"""
Which deleted files are held no longer, although they are still to be read: they take disk, and descriptors. Pure.

Descriptors are what connections need as well, and new files: without a bound, pods that come and go while Loki is away
would take them all.
"""

from collections.abc import Iterable

from agent.tail.tail import Tail


def beyond(tails: Iterable[Tail], *, max_bytes: int, max_files: int) -> list[Tail]:
    """
    Return those of *tails* that are to let go.

    The largest, until all take at most *max_bytes*; then of those that are gone what is read already, and the oldest,
    until at most *max_files* are open. Of one that still writes another file would be open instead.
    """
    held = [tail for tail in tails if tail.look.held_files]
    excess_bytes = sum(tail.look.held for tail in held) - max_bytes
    excess_files = sum(tail.look.held_files for tail in held if tail.look.is_gone) - max_files
    if excess_bytes <= 0 and excess_files <= 0:
        return []
    chosen: list[Tail] = []
    held.sort(key=lambda tail: tail.look.held)
    while excess_bytes > 0 and held:
        tail = held.pop()
        excess_bytes -= tail.look.held
        excess_files -= tail.look.held_files if tail.look.is_gone else 0
        chosen.append(tail)
    for tail in sorted((tail for tail in held if tail.look.is_gone), key=_age):
        if excess_files <= 0:
            break
        excess_files -= tail.look.held_files
        chosen.append(tail)
    return chosen


def _age(tail: Tail) -> tuple[bool, float]:
    return tail.look.unread > 0, tail.first_seen
