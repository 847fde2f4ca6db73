"""
What the API says of pods whose files nobody saw: the last way to learn of lines that were lost.

inotify may be refused, and a pod may live for less than the second between two looks, or while the agent itself is
away. That a pod ended is told by the watch, which goes on where it was: when a container of it ran here and its folder
was in no look, of this life of the agent or the one before, its lines are lost. What ran before the earlier life wrote
down last is left alone: what was read to its end then and is gone, is in no list any more. Pure.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.pods.ending import Ended
from agent.tail.missing import Missed

_MAX_SEEN = 20_000
_SKEW_NS = 10_000_000_000
"""How far the clocks of the API server and this node may be apart."""

TakeEnded = Callable[[int], Sequence[Ended]]
"""Returns, once, the pods of whose end was told before a moment, nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierLife:
    """When the agent's life before this one wrote its state last, 0 for never, and the pods in it."""

    saved_at: int
    uids: frozenset[str]

    def unwatched_since(self, begun: int) -> int:
        """
        Return from which creation on a pod that nobody saw is lost, in a life that has *begun*.

        A pod that is found is written down within a second, and one that was created later is not in the state because
        it was read and forgotten. What ran before there ever was an agent is nobody's loss.
        """
        return self.saved_at - _SKEW_NS if self.saved_at else begun + _SKEW_NS


NO_EARLIER_LIFE = EarlierLife(saved_at=0, uids=frozenset())


class Seen:
    """The uids of pods that had a folder, the last 20,000."""

    def __init__(self) -> None:
        self._uids: OrderedDict[str, None] = OrderedDict()

    def add(self, uid: str) -> None:
        """Note that the pod whose files carry *uid* was seen, or missed and told."""
        self._uids[uid] = None
        self._uids.move_to_end(uid)
        if len(self._uids) > _MAX_SEEN:
            self._uids.popitem(last=False)

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids


def unseen(ended: Sequence[Ended], seen: Seen, *, node: str, after: int) -> Iterator[Missed]:
    """Yield the containers that ran on *node*, in pods that were created *after* then, and that nobody saw."""
    for each in ended:
        pod = each.pod
        if pod.node != node or pod.created_at < after or pod.file_uid in seen:
            continue
        for container in each.containers:
            yield Missed(pod.namespace, pod.name, pod.file_uid, container, since=pod.created_at)
