"""
The watch connections that are open, and what can be done to them: dropped, cut, frozen, fed with rubbish.

One `Stream` writes one watch. It owns the order of what is sent: initial events, events, bookmarks, and the
actions of faults between them. The bytes come from views, the events from a watch cache's watcher.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from simulator.clients import Client, ClientFilter, Holds
from simulator.resource import Resource
from simulator.selectors import Selector, everything
from simulator.versions import ADDED, DELETED, Event
from simulator.views import View
from simulator.watchcache import Watcher

CHUNK_BYTES = 256 * 1024
"""Most bytes handed to the connection before waiting for it to take them."""

BOOKMARK_BEFORE_END_SECONDS = 2.0
"""The real server sends one just before it ends a watch (cache_watcher.go)."""


class Doing(StrEnum):
    """What a fault does to a stream."""

    DROP = "drop"
    CUT = "cut"
    FREEZE = "freeze"
    SEND = "send"
    SEND_AND_END = "send-and-end"
    END = "end"
    BOOKMARK = "bookmark"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do to a stream, with the bytes to send if any."""

    doing: Doing
    data: bytes = b""


class Connection(Protocol):
    """What a stream writes to."""

    async def write(self, data: bytes) -> None:
        """Send, and wait while the peer is slow."""
        ...

    def close_abruptly(self) -> None:
        """Close after what was written, without ending the HTTP body."""
        ...

    def abort(self) -> None:
        """Reset the connection at once."""
        ...


class StreamCut(ConnectionResetError):
    """The stream was ended the hard way; the handler must not finish the response."""


@dataclass(slots=True, kw_only=True)
class Timing:
    """When bookmarks come and when the stream ends; seconds."""

    timeout: float
    bookmarks: bool
    first_bookmark: float
    bookmark_period: float


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """One open watch."""

    resource: Resource
    view: View
    namespace: str
    matches: Selector
    watcher: Watcher
    revision: Callable[[], int]
    """The cache's present revision: what a bookmark says."""
    timing: Timing
    connection: Connection
    client: Client
    holds: Holds
    actions: deque[Action] = field(default_factory=deque)
    sent_events: int = 0
    _owes_bookmark: bool = False

    def do(self, action: Action) -> None:
        """
        Have an action done as soon as the stream is not busy sending; a drop is done at once.

        A bookmark comes after the events that are there, as one that is due does.
        """
        if action.doing is Doing.DROP:
            self.connection.abort()
        if action.doing is Doing.BOOKMARK:
            self._owes_bookmark = self.timing.bookmarks
        else:
            self.actions.append(action)
        self.watcher.wake.set()

    async def run(self) -> None:
        """Send until the timeout; StreamCut when the connection was ended the hard way."""
        loop = asyncio.get_running_loop()
        self.watcher.on_overflow = self._overflow
        end = loop.time() + self.timing.timeout
        bookmarks = self._bookmark_times(loop.time(), end)
        next_bookmark = next(bookmarks)
        while True:
            await self.holds.passage(self.client)
            self.watcher.wake.clear()
            cut_next = False
            while self.actions:
                action = self.actions.popleft()
                if action.doing is Doing.END:
                    return
                if action.doing is Doing.CUT:
                    cut_next = True
                else:
                    await self._act(action)
                    if action.doing is Doing.SEND_AND_END:
                        return
            # Together: a bookmark must not overtake an event that came while the ones before it were sent.
            events, revision = self.watcher.take(), self.revision()
            await self._send(events, cut_first=cut_next)
            if self.watcher.overflowed:
                self.connection.abort()
                raise StreamCut("the client is too slow")
            now = loop.time()
            if self._owes_bookmark or now >= next_bookmark:
                self._owes_bookmark = False
                await self._write(self.view.bookmark(revision))
                next_bookmark = next(bookmarks) if now >= next_bookmark else next_bookmark
            if now >= end:
                return
            try:
                async with asyncio.timeout_at(min(end, next_bookmark)):
                    await self.watcher.wake.wait()
            except TimeoutError:
                pass

    async def _act(self, action: Action) -> None:
        if action.doing is Doing.DROP:
            raise StreamCut("dropped")
        if action.doing is Doing.FREEZE:
            self.watcher.close()
            await asyncio.Event().wait()  # until the peer goes away or the server stops
        await self._write(action.data)

    def _overflow(self) -> None:
        # A held client must not learn of it before it is released.
        if not self.holds.holds(self.client):
            self.connection.abort()

    async def _write(self, data: bytes) -> None:
        await self.holds.passage(self.client)
        await self.connection.write(data)

    async def _send(self, events: list[Event], *, cut_first: bool) -> None:
        chunk: list[bytes] = []
        size = 0
        for event in events:
            line = self.line(event)
            if line is None:
                continue
            if cut_first:
                await self._write(b"".join(chunk) + line[: len(line) // 2])
                self.connection.close_abruptly()
                raise StreamCut("cut in the middle of a line")
            self.sent_events += 1
            chunk.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))
        if cut_first:
            self.actions.append(Action(Doing.CUT))

    def line(self, event: Event) -> bytes | None:
        """Return what this watch says of an event: nothing, or its line as `convertToWatchEvent` makes it."""
        version = event.version
        if self.namespace and version.namespace != self.namespace:
            return None
        if self.matches is everything:
            return self.view.line(event.type, version)
        is_in = event.type != DELETED and self.matches(version.facts)
        was_in = event.previous is not None and self.matches(event.previous.facts)
        if is_in and was_in:
            return self.view.line(event.type, version)
        if is_in:
            return self.view.line(ADDED, version)
        return self.view.departure(event) if was_in else None

    def _bookmark_times(self, now: float, end: float) -> Iterator[float]:
        if self.timing.bookmarks:
            due = now + self.timing.first_bookmark
            before_end = end - BOOKMARK_BEFORE_END_SECONDS
            while due < before_end:
                yield due
                due += self.timing.bookmark_period
            if before_end > now:
                yield before_end
        while True:
            yield float("inf")


class Streams:
    """All open watches of the server."""

    def __init__(self) -> None:
        self._open: dict[Stream, None] = {}

    def add(self, stream: Stream) -> None:
        """Note a stream that begins."""
        self._open[stream] = None

    def remove(self, stream: Stream) -> None:
        """Strike out a stream that ended."""
        self._open.pop(stream, None)

    def of(
        self, resource: Resource | None, count: int | None = None, *, clients: ClientFilter | None = None
    ) -> list[Stream]:
        """Return the open streams of a resource, or of all, oldest first; of some *clients*, the first *count*."""
        return [
            stream
            for stream in self._open
            if resource in (None, stream.resource) and (clients is None or clients.matches(stream.client))
        ][:count]
