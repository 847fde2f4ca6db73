"""
One request to one agent for lines as they come: what was told of each container, and what is to be asked again.

A container's lines are written, read and late in an order of their own: one that floods says nothing of another, not of
the same pod either. No I/O here.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.logs.asking import LogLine, Target

_OVERLAP = 2 * 10**9
"""ns: who is asked again begins so much before the last line: two goroutines write a file, and not in one order."""

_MAX_RECENT_LINES = 10_000
"""Told lines that are remembered of one request, so that none is told again."""

Container = tuple[str, str]
"""The uid of a pod, and the name of the container."""


@dataclass(slots=True, eq=False)
class Pump:
    """
    One request to one agent, for the pods that were there when it began.

    `last` is when the last line was written that each container told, `asked` what it was when the agent was asked.
    Of a pod or container that told none, nothing older than the pod's `floor` is wanted: but that all, from its first
    line on, for it may have come while nobody heard, or just before.
    """

    agent: str
    targets: list[Target]
    task: asyncio.Task[None] | None = None
    last: dict[Container, int] = field(default_factory=dict)
    asked: dict[Container, int] = field(default_factory=dict)
    floor: dict[str, int] = field(default_factory=dict)
    recent: dict[tuple[int, str, str, str], None] = field(default_factory=dict)
    """What was told last, in the order in which it was."""
    is_live: bool = False

    def join(self, other: "Pump", living: Collection[str]) -> None:
        """Take over what *other* was for, as far as it is *living*."""
        self.targets += [it for it in other.targets if it.uid in living]
        self.last.update(other.last)
        self.floor.update(other.floor)
        self.recent = dict.fromkeys(sorted(self.recent | other.recent))

    def begin(self) -> None:
        """Note that the agent is asked now."""
        self.asked = dict(self.last)

    def go_live(self) -> None:
        """Note that from now on it tells what comes."""
        self.is_live = True
        # Of a quiet pod, too, what is older is not wanted when it is asked for again.
        newest = max(self.last.values(), default=0)
        self.floor = {it.uid: newest for it in self.targets if newest} | self.floor

    def take(self, lines: Sequence[LogLine]) -> list[LogLine]:
        """Return those of *lines* that were not told before."""
        new: list[LogLine] = []
        for line in lines:
            key = (line.target.uid, line.container)
            # Against what was told before the agent was asked: while it tells, it repeats nothing, however late it is.
            if line.identity in self.recent or line.at < self.asked.get(key, 0) - _OVERLAP:
                continue
            self.last[key] = max(self.last.get(key, 0), line.at)
            self.recent[line.identity] = None
            new.append(line)
        while len(self.recent) > _MAX_RECENT_LINES:
            del self.recent[next(iter(self.recent))]
        return new

    def since(self, container: str) -> int:
        """Return from when on the lines of *container* ("" for all) are to be told, ns; 0 when nothing was told yet."""
        if not self.last:
            return 0
        earliest: dict[str, int] = {}
        for (uid, _), at in self.last.items():
            earliest[uid] = min(at, earliest.get(uid, at))
        for target, _ in self._unheard(self.last, container):
            earliest[target.uid] = min(self._floor_of(target), earliest.get(target.uid, self._floor_of(target)))
        return max(0, min(earliest.get(it.uid, self._floor_of(it)) for it in self.targets) - _OVERLAP)

    def behind(self, until: int, container: str) -> list[tuple[Target, str, int]]:
        """
        Return whose lines before *until* were not told, when the agent was asked: pod, container, and since when.

        Of a pod whose containers nobody knows it is *container*. Those come first that told last: they were the least
        quiet.
        """
        targets = {it.uid: it for it in self.targets}
        had_told = {uid for uid, _ in self.asked}
        since = {key: at for key, at in self.asked.items() if key[0] in targets}
        since |= {(it.uid, container): self._floor_of(it) for it in self.targets if it.uid not in had_told}
        since |= {(it.uid, name): self._floor_of(it) for it, name in self._unheard(self.asked, container)}
        late = sorted((key for key, at in since.items() if at < until), key=lambda key: -since[key])
        return [(targets[key[0]], key[1], max(0, since[key] - _OVERLAP)) for key in late]

    def _unheard(self, told: Mapping[Container, int], container: str) -> list[tuple[Target, str]]:
        """Return the containers that *told* nothing, of pods that did."""
        of_pods = {uid for uid, _ in told}
        return [
            (target, name)
            for target in self.targets
            for name in target.containers
            if target.uid in of_pods and container in ("", name) and (target.uid, name) not in told
        ]

    def _floor_of(self, target: Target) -> int:
        return self.floor.get(target.uid, target.created_at)
