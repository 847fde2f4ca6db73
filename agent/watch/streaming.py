"""
One HTTP stream of a watch: open it, hand out its lines, and say how it ended. Not what the lines mean.

The socket is read by aiohttp into a buffer of bounded size while the lines are worked on, and is paused when that is
full: reading never waits for the work, and slow work never fills the memory (watching rule 12).
"""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from agent.kube.session import ApiSession, read_some
from agent.watch.counters import WatchCounters
from agent.watch.kinds import WatchedKind
from agent.watch.lines import LineSplitter, OversizedLine
from agent.watch.requests import accepts


@dataclass(frozen=True, slots=True)
class Lines:
    """What one read of the socket completed."""

    lines: list[bytes]
    oversized: list[OversizedLine]


class WatchStream:
    """An open watch. `batches` ends when the server ended it regularly, raises NoAnswer when it was cut or silent."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        splitter: LineSplitter,
        counters: WatchCounters,
        *,
        silence_seconds: float = math.inf,
    ) -> None:
        self._response = response
        self._splitter = splitter
        self._counters = counters
        self._silence_seconds = silence_seconds

    async def batches(self) -> AsyncIterator[Lines]:
        """Yield what came since the last time, in order."""
        content = self._response.content
        # Everything that has come: at most twice the session's read buffer, 256 KB, which take ~1 ms to decode.
        while chunk := await read_some(content, self._silence_seconds):
            self._counters.bytes += len(chunk)
            lines = self._splitter.feed(chunk)
            oversized = self._splitter.take_oversized()
            if lines or oversized:
                yield Lines(lines, oversized)

    def close(self) -> None:
        """Cut the stream from this side; whoever reads it gets NoAnswer."""
        self._response.close()


@asynccontextmanager
async def open_watch(
    session: ApiSession,
    kind: WatchedKind,
    params: Mapping[str, str],
    *,
    silence_seconds: float,
    max_line_bytes: int,
    counters: WatchCounters,
) -> AsyncIterator[WatchStream]:
    """Open a watch; raises ServerSaid when it is refused, NoAnswer when nobody answers or for *silence_seconds*."""
    async with session.open(
        kind.path,
        params,
        verb="watch",
        resource=kind.stream_resource,
        accept=accepts(kind),
        silence_seconds=silence_seconds,
    ) as response:
        yield WatchStream(response, LineSplitter(max_line_bytes), counters, silence_seconds=silence_seconds)
