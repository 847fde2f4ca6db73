"""
The watchers that run: started, told what the link says of their streams, and ended, one or all.

Not which there should be: that is the scope's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from msgspec import structs

from agent.spool.spool import Spool
from agent.watch.kinds import WatchedKind
from agent.watch.position import is_own
from agent.watch.sharing import WatchTools
from agent.watch.watcher import Watcher
from kubescribe.wire.link import Grant, StreamClaim
from kubescribe.wire.records import StreamHealth
from kubescribe.wire.streams import stream_name


class Claims(Protocol):
    """Where streams are claimed; see `agent.link.link.Link`."""

    def claim(self, streams: Sequence[StreamClaim]) -> None:
        """Hold *streams* from now on."""
        ...

    def claim_once(self, streams: Sequence[StreamClaim]) -> None:
        """Claim *streams* on this connection only."""
        ...

    def release(self, names: Sequence[str]) -> None:
        """Claim *names* no longer."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    watcher: Watcher
    task: asyncio.Task[None]


class Watchers:
    """Watchers by their stream's name. `claims` is named before `open`."""

    claims: Claims

    def __init__(self, tools: WatchTools, spool: Spool) -> None:
        self._tools = tools
        self._spool = spool
        self._running: dict[str, _Running] = {}
        self._group: asyncio.TaskGroup | None = None
        self._left: list[Watcher] = []
        self._lists_first = ""
        self._is_known: Callable[[str], bool] = _is_known
        self._judged: set[str] = set()

    def list_first(self, resource: str, *, unless: Callable[[str], bool]) -> None:
        """
        Let the streams of *resource* begin with a list: somebody here has to learn what there is already.

        Not those of which *unless* tells that everything is known, if they go on where this agent left them.
        """
        self._lists_first = resource
        self._is_known = unless

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """
        Let watchers be started while the block runs; at its end all are ended, and their streams released.

        What a watcher fails with (a spool that is closed) ends the block and is raised from it.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                self._left = [running.watcher for running in self._running.values()]
                self.end(list(self._running))

    @property
    def is_open(self) -> bool:
        """Tell whether watchers may be started."""
        return self._group is not None

    def start(self, wanted: Sequence[tuple[WatchedKind, str | None]]) -> None:
        """Claim the streams of *wanted*, kinds with the node of their selector, and watch them."""
        claims = [
            StreamClaim(name=stream_name(kind.stream_resource, node), kind=kind.name)
            for kind, node in wanted
            if stream_name(kind.stream_resource, node) not in self._running
        ]
        self.claims.claim(claims)
        for kind, node in wanted:
            self._run(kind, node)

    def start_granted(self, kind: WatchedKind, node: str, grant: Grant) -> None:
        """Watch a stream that was claimed and granted before it was watched."""
        self._run(kind, node)
        self.granted(grant)

    def end(self, names: Sequence[str]) -> None:
        """End the watchers of *names*, now, and hold their streams no longer; nothing is kept of them."""
        for name in names:
            running = self._running.pop(name, None)
            if running is not None:
                running.task.cancel()
            self._tools.counters.forget(name)
            self._judged.discard(name)
        self.claims.release(names)

    async def leave(self, detail: str) -> None:
        """Say of the streams whose watchers the end of `open` ended that they are not watched any more, and why."""
        while self._left:
            await self._left.pop().leave(detail)

    # What the link tells.

    def granted(self, grant: Grant) -> bool:
        """Tell the stream's watcher where it goes on; False when there is none."""
        running = self._running.get(grant.name)
        if running is None:
            return False
        own = self._spool.marks().get(grant.name)
        # Once: a watch that runs has been seen from its beginning here.
        if grant.name.partition("/")[0] == self._lists_first and grant.name not in self._judged:
            self._judged.add(grant.name)
            if not (self._is_known(grant.name) and is_own(grant, own)):
                grant = structs.replace(grant, snapshot=True)
        running.watcher.granted(grant, own)
        return True

    def relist(self, names: Sequence[str], epoch: int, reason: str) -> None:
        """Tell the watchers of *names* to send Snapshots."""
        for name in names:
            running = self._running.get(name)
            if running is not None:
                running.watcher.relist(epoch, reason)

    # What there is.

    def __contains__(self, name: str) -> bool:
        return name in self._running

    def names(self) -> tuple[str, ...]:
        """Return the streams that are watched."""
        return tuple(self._running)

    def find(self, name: str) -> Watcher | None:
        """Return the watcher of the stream *name*, if there is one."""
        running = self._running.get(name)
        return running.watcher if running is not None else None

    def kinds(self) -> Mapping[str, WatchedKind]:
        """Return the kinds that are watched, by name."""
        return {running.watcher.kind.name: running.watcher.kind for running in self._running.values()}

    def health(self) -> tuple[StreamHealth, ...]:
        """Return how every stream does, by name."""
        return tuple(self._running[name].watcher.health() for name in sorted(self._running))

    def _run(self, kind: WatchedKind, node: str | None) -> None:
        if self._group is None:
            raise RuntimeError("watchers are started inside `open`")
        name = stream_name(kind.stream_resource, node)
        if name in self._running:
            return
        watcher = Watcher(kind, node, self._tools, self._spool.marks().get(name))
        self._running[name] = _Running(watcher, self._group.create_task(watcher.run(), name=f"watch {name}"))


def _is_known(_: str) -> bool:
    return True
