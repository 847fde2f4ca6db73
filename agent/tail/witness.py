"""
What the API says of pods whose files nobody saw: the last way to learn of lines that were lost.

inotify may be refused, and a pod may live for less than the second between two looks. That a pod ended is told by the
watch: when a container of it ran here, in this life of the agent, and its folder was in no look, its lines are lost.
What ran before this life is left alone: whether it was read then, nobody knows. Pure.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from agent.pods.ending import Ended
from agent.tail.missing import Missed

_MAX_SEEN = 20_000
_SKEW_NS = 10_000_000_000
"""How far the clock of the API server may be ahead of this node's."""

TakeEnded = Callable[[int], Sequence[Ended]]
"""Returns, once, the pods of whose end was told before a moment, nanoseconds."""


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


def unseen(ended: Sequence[Ended], seen: Seen, *, node: str, begun: int) -> Iterator[Missed]:
    """Yield the containers that ran on *node* after *begun*, when this life's looking did, and that nobody saw."""
    for each in ended:
        pod = each.pod
        if pod.node != node or pod.created_at < begun + _SKEW_NS or pod.file_uid in seen:
            continue
        for container in each.containers:
            yield Missed(pod.namespace, pod.name, pod.file_uid, container, since=pod.created_at)
