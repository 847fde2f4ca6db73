"""Who a shipper's lines are of: what a gateway asks, and what it is told. The answers are the daemons' to give."""

from collections.abc import Iterable
from typing import Protocol

from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.pods import MIRROR, PodFacts

_SECOND = 10**9


class PodFinder(Protocol):
    """
    Finds the pod behind a clue, alive or dead for at most a day. Called from another thread, and must not wait.

    The same pod is the same object for as long as it is remembered: what was made of it is kept under it.
    """

    def find(self, clue: Clue, at: int = 0) -> PodFacts | None:
        """
        Return the pod: by uid (of the object or of its files), else container id, else namespace and name.

        *at* is when the earliest of the lines was written, ns, 0 for nobody knows. Of several pods that had the name it
        is the one that had it then: see `bearer_at`. One that perhaps has not the container is none: `is_of_bearer`.
        """
        ...

    def node_of(self, pod: PodFacts | None) -> NodeFacts:
        """Return where *pod* runs; of None, what is true of every pod that this gateway may be told of."""
        ...


def bearer_at(bearers: Iterable[PodFacts], at: int) -> PodFacts | None:
    """
    Return which of *bearers*, the pods that had one name, the last one first, wrote a line *at* (ns); None of none.

    Each has it from its creation to that of the next. Within the second of that, which the API rounds down, it is still
    the one before: the next `db-0` is made when this one has ended, and has to be scheduled and started. What is older
    than all of them, or of a time that nobody knows, is of the last one.
    """
    last: PodFacts | None = None
    for pod in bearers:
        last = last or pod
        if not at or pod.created_at <= at - _SECOND or MIRROR in pod.annotations:
            return pod
    return last


def is_of_bearer(pod: PodFacts, clue: Clue, at: int) -> bool:
    """
    Tell whether lines of *clue*, found by name alone, are of *pod*, which had that name then, or has it last.

    A container that nobody knows is one that the pod has just started, or that of a pod which had the name before: the
    last words of `db-0` come when the next `db-0` is there. Only the time tells, and not within the second of the
    creation, which the API rounds down. A static pod's containers may be older than what the API has of it.
    """
    if not clue.container_id:
        return True
    return 0 < pod.created_at <= at - _SECOND and MIRROR not in pod.annotations


class NoPods:
    """A finder that knows nobody: every line goes on as it came, with what its path tells."""

    def __init__(self, node: NodeFacts = NodeFacts()) -> None:  # noqa: B008 - a frozen value
        self._node = node

    def find(self, clue: Clue, at: int = 0) -> PodFacts | None:  # noqa: ARG002 - the protocol's
        """Return None."""
        return None

    def node_of(self, pod: PodFacts | None) -> NodeFacts:  # noqa: ARG002 - the protocol's
        """Return the node given."""
        return self._node
