"""
Which deleted files are let go of before they are read, so that a Loki that is away costs the node little. Pure.

A deleted file that is open takes its bytes of the disk; and of a pod that is gone, however little it wrote, everything
that is known waits in memory with it. Each has a limit: pods that live for a moment are thousands in an hour.
"""

from collections.abc import Iterable

from agent.tail.tail import Tail


def beyond(tails: Iterable[Tail], *, max_bytes: int, max_files: int) -> list[Tail]:
    """
    Return those of *tails* that hold more than there is room for.

    Of *max_bytes* of disk the largest are beyond, which are the fewest; of *max_files* of what is gone altogether those
    that were found first: so it is with what the kubelet deletes.
    """
    held = sorted((tail for tail in tails if tail.look.held), key=lambda tail: tail.look.held)
    excess = sum(tail.look.held for tail in held) - max_bytes
    chosen = []
    while excess > 0 and held:
        excess -= held[-1].look.held
        chosen.append(held.pop())
    gone = sorted((tail for tail in held if tail.look.is_gone), key=lambda tail: tail.first_seen)
    return chosen + gone[: max(0, len(gone) - max_files)]
