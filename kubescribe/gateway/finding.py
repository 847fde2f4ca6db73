"""Who a shipper's lines are of: what a gateway asks, and what it is told. The answers are the daemons' to give."""

from typing import Protocol

from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.pods import PodFacts


class PodFinder(Protocol):
    """
    Finds the pod behind a clue, alive or dead for at most a day. Called from another thread, and must not wait.

    The same pod is the same object for as long as it is remembered: what was made of it is kept under it.
    """

    def find(self, clue: Clue) -> PodFacts | None:
        """Return the pod: by uid (of the object or of its files), else container id, else namespace and name."""
        ...

    def node_of(self, pod: PodFacts | None) -> NodeFacts:
        """Return where *pod* runs; of None, what is true of every pod that this gateway may be told of."""
        ...


class NoPods:
    """A finder that knows nobody: every line goes on as it came, with what its path tells."""

    def __init__(self, node: NodeFacts = NodeFacts()) -> None:  # noqa: B008 - a frozen value
        self._node = node

    def find(self, clue: Clue) -> PodFacts | None:  # noqa: ARG002 - the protocol's
        """Return None."""
        return None

    def node_of(self, pod: PodFacts | None) -> NodeFacts:  # noqa: ARG002 - the protocol's
        """Return the node given."""
        return self._node
