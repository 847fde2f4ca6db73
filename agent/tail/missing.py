"""
What came and went before it could be opened, as Gaps: of a pod of a moment, and of thousands of them. Pure.

A node that loses ten thousand short pods is not to fill the journal with as many Gaps: beyond a number, one Gap stands
for all of a namespace. Nothing is left out of the count.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.tail.losing import Cause, Lost, gap_of
from agent.tail.paths import Instance
from kubescribe.wire.records import MAX_INTEGER, Gap

ANY = "*"
"""In a stream of losses: whichever it was. No name in Kubernetes has it."""

_BURST = 500
_PER_SECOND = 2.0
_MAX_NAMESPACES = 100


@dataclass(frozen=True, slots=True)
class Missed:
    """
    Something that was made after `since`, nanoseconds, and was deleted before it was opened.

    "" is what nobody knows: of a folder that was not looked into, its containers; after an overflow, everything.
    """

    namespace: str = ""
    pod: str = ""
    uid: str = ""
    container: str = ""
    restart: int = 0
    since: int = 0

    @property
    def instance(self) -> Instance:
        """Whose lines are lost, as far as it is known."""
        return Instance(self.namespace or ANY, self.pod or ANY, self.uid or ANY, self.container or ANY, self.restart)

    def lost(self, now: int) -> Lost:
        """Return what it is to the ledger."""
        return Lost(cause="logDeleted", start=self.since, end=now, at=f"missed/{self.since}")


class Folding:
    """Makes Gaps of losses, few enough: of those whose bytes nobody knows 500 at once and two a second."""

    def __init__(self, *, monotonic: Callable[[], float], burst: int = _BURST, per_second: float = _PER_SECOND) -> None:
        self._monotonic = monotonic
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._at = monotonic()

    def gaps_of(self, losses: Iterable[tuple[Instance, Lost]]) -> list[Gap]:
        """Return the Gaps that tell of *losses*."""
        now = self._monotonic()
        self._left = min(float(self._burst), self._left + (now - self._at) * self._per_second)
        self._at = now
        gaps: list[Gap] = []
        beyond: dict[tuple[str, Cause], list[Lost]] = {}
        for instance, lost in losses:
            is_known = lost.size is not None or lost.count is not None
            if is_known or self._left >= 1:
                self._left -= not is_known
                gaps.append(gap_of(instance, lost))
                continue
            namespace = instance.namespace
            if (namespace, lost.cause) not in beyond and len(beyond) >= _MAX_NAMESPACES:
                namespace = ANY
            beyond.setdefault((namespace, lost.cause), []).append(lost)
        return gaps + [_folded(namespace, cause, all_lost) for (namespace, cause), all_lost in beyond.items()]


def _folded(namespace: str, cause: Cause, losses: list[Lost]) -> Gap:
    start, end = min(lost.start for lost in losses), max(lost.end for lost in losses)
    stream = f"logs/{namespace}/{ANY}/{ANY}"
    key = "\0".join((stream, cause, str(start), str(end), str(len(losses))))
    start = min(max(start, 0), MAX_INTEGER)
    return Gap(
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        stream=stream,
        cause=cause,
        start=start,
        to=min(max(end, start), MAX_INTEGER),
        outcome="lost",
        detail=f"{len(losses)} containers",
    )
