"""
Which instances are tailed: from what was found, until they are read to their end and that is written down.

What comes under the name of one that is just being forgotten (a static pod keeps its uid, and so its folder's name)
waits until that is done: the end of the one and the beginning of the other are never mixed up. For the loop alone.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable

from agent.tail.discovery import Found
from agent.tail.paths import Instance
from agent.tail.reader import Reader
from agent.tail.retention import Retention
from agent.tail.settings import TailSettings
from agent.tail.states import States
from agent.tail.tail import Tail

_Container = tuple[str, str, str, str]


class Roster:
    """The instances of all containers; `restarts` are those of each container that have files."""

    def __init__(
        self, settings: TailSettings, states: States, *, now_ns: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._states = states
        self._now_ns = now_ns
        self._monotonic = monotonic
        self._retention = Retention()
        self.tails: dict[Instance, Tail] = {}
        self.restarts: dict[_Container, frozenset[int]] = {}
        self._living: dict[_Container, int] = {}
        self._fresh: set[Instance] = set()
        self._retiring: set[Instance] = set()
        self._waiting: list[Found] = []

    def take(self, finds: Iterable[Found] = ()) -> None:
        """Take what was *found*, and what waits, as far as nothing of the same container is just being forgotten."""
        waiting, self._waiting = [*self._waiting, *finds], []
        held_up: set[_Container] = set()
        for found in waiting:
            container = (*found.pod, found.container)
            named = self.restarts.get(container, frozenset()) | found.restarts | {it.restart for it in found.opened}
            # In their order: what was found later tells what is there now.
            if container in held_up or any(self._is_leaving(Instance(*container, restart)) for restart in named):
                held_up.add(container)
                self._waiting.append(found)
            else:
                self._take(container, found)

    def remember_gone(self) -> None:
        """Ask after instances that were known and have no files any more: what was lost is told."""
        for instance in self._states.known():
            if instance in self.tails or instance.restart in self.restarts.get(instance[:4], frozenset()):
                continue
            if self._states.is_done(instance):
                self._states.forget(instance)
            else:
                self._add(instance, made_after=0).reader.has_ended = True
        self._remember_skipped()

    def _remember_skipped(self) -> None:
        """Ask after instances that came and went since the earlier life: the numbers of what it knew tell."""
        newest: dict[_Container, int] = {}
        for instance in self._states.known():
            newest[instance[:4]] = max(instance.restart, newest.get(instance[:4], -1))
        for container, restart in newest.items():
            oldest = min((it for it in self.restarts.get(container, ()) if it > restart), default=0)
            if oldest > restart + 1:
                # One stands for all of them: the same time, and nobody knows more.
                skipped = Instance(*container, oldest - 1)
                self._add(skipped, made_after=self._states.earlier().saved_at).reader.has_ended = True

    def take_fresh(self) -> list[Tail]:
        """Return those of which something was found since the last call."""
        fresh, self._fresh = self._fresh, set()
        return [self.tails[instance] for instance in fresh if instance in self.tails]

    def is_fresh(self, instance: Instance) -> bool:
        """Tell whether something was found of *instance* that nobody has looked at yet."""
        return instance in self._fresh

    def begin_leaving(self, tails: Iterable[Tail]) -> None:
        """Let nothing more be found of *tails*: their files are being closed."""
        self._retiring |= {tail.instance for tail in tails}

    def leave(self, tails: Iterable[Tail]) -> None:
        """Let *tails* go, which are closed."""
        for tail in tails:
            del self.tails[tail.instance]
            self._retiring.discard(tail.instance)
            self._states.finish(tail)

    def close(self) -> None:
        """Close what nobody took."""
        waiting, self._waiting = self._waiting, []
        for found in waiting:
            for opened in found.opened:
                os.close(opened.descriptor)

    def _is_leaving(self, instance: Instance) -> bool:
        return instance in self._retiring or self._states.is_unsaved(instance)

    def _take(self, container: _Container, found: Found) -> None:
        before = self.restarts.pop(container, frozenset())
        if found.restarts:
            self.restarts[container] = found.restarts
        living = self._living_of(container, found, before)
        opened = {each.restart for each in found.opened}
        for restart in sorted(before | found.restarts | opened):
            instance = Instance(*container, restart)
            tail = self.tails.get(instance)
            if tail is None and restart not in found.restarts and restart not in opened:
                self._states.forget(instance)
            elif tail is None and (restart in opened or not self._states.is_done(instance)):
                # What was done has a file that nobody knows, or the earlier life may not have seen all of it.
                self._states.note(instance, found.since)
                tail = self._add(instance, made_after=found.since)
            if tail is not None:
                self._fresh.add(instance)
                tail.reader.has_ended = restart != living
        for each in found.opened:
            self.tails[Instance(*container, each.restart)].reader.hold(each)

    def _living_of(self, container: _Container, found: Found, before: frozenset[int]) -> int:
        """Return which instance is written, -1 for none: the one that came last, although counts may begin anew."""
        living = max(found.restarts - before, default=self._living.get(container, -1))
        if living not in found.restarts:
            living = max(found.restarts, default=-1)
        self._living.pop(container, None)
        if living >= 0:
            self._living[container] = living
        return living

    def _add(self, instance: Instance, *, made_after: int) -> Tail:
        kept = self._states.of(instance)
        reader = Reader(
            self._settings.folder,
            instance,
            resume=kept.place,
            since=self._states.since,
            was_done=kept.is_done,
            made_after=kept.made_after or made_after,
            now_ns=self._now_ns,
            monotonic=self._monotonic,
            retention=self._retention,
        )
        seen = self._monotonic()
        tail = Tail(instance=instance, reader=reader, first_seen=seen, place=kept.place, lines=Counter(kept.lines))
        if kept.enrichment is not None:
            reader.name(self._states.names(instance), first_at=kept.frozen_at)
            tail.is_named = True
        self.tails[instance] = tail
        return tail
