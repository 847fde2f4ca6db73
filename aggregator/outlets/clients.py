"""
One connection of the feed, as the hub sees it: where its bytes go, and whether it takes them.

Not the conversation: what a client says is web's.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aggregator.outlets.frames import Framing


class Outgoing(Protocol):
    """The part of an asyncio transport that the feed needs."""

    def write(self, data: bytes) -> None:
        """Take *data* whole, send or keep it; never blocks."""
        ...

    def get_write_buffer_size(self) -> int:
        """Return the bytes that were taken and not yet sent."""
        ...

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or on its way there."""
        ...

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        ...


class ClientGone(Exception):
    """The connection ended, or was given up; `cause` is from a closed list and counts in the metrics."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Client:
    """
    A connection.

    `heard_at` (loop time) is the last sign of life of the peer; None where the peer never speaks (server-sent events).
    `max_buffered` asks for the bytes that may wait for this client now.
    """

    __slots__ = ("_clock", "_max_buffered", "_stuck_seconds", "framing", "gone", "heard_at", "transport")

    def __init__(
        self,
        transport: Outgoing,
        framing: Framing,
        *,
        max_buffered: Callable[[], int],
        stuck_seconds: float,
        clock: Callable[[], float],
        hears: bool,
    ) -> None:
        self.transport = transport
        self.framing = framing
        self.gone = ""
        self.heard_at = clock() if hears else None
        self._max_buffered = max_buffered
        self._stuck_seconds = stuck_seconds
        self._clock = clock

    @property
    def is_full(self) -> bool:
        """True when this client must wait before it gets more."""
        return self.transport.get_write_buffer_size() > self._max_buffered()

    def heard(self) -> None:
        """Note a sign of life."""
        if self.heard_at is not None:
            self.heard_at = self._clock()

    def send(self, message: bytes, seq: int | None = None) -> None:
        """Send one message, framed; without effect once the connection is closing."""
        self.write(self.framing.message(message, seq))

    def write(self, frame: bytes) -> None:
        """Send one whole frame; without effect once the connection is closing."""
        if not self.transport.is_closing():
            self.transport.write(frame)

    async def drained(self) -> None:
        """Return when at most half of the limit waits. Raises ClientGone when it closed or moved nothing for long."""
        size = self.transport.get_write_buffer_size()
        deadline = self._clock() + self._stuck_seconds
        pause = 0.01
        while size > self._max_buffered() // 2:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)
            if self.transport.is_closing() or self.gone:
                break
            now, before, size = self._clock(), size, self.transport.get_write_buffer_size()
            if size < before:
                deadline = now + self._stuck_seconds
            elif now >= deadline:
                raise ClientGone("stuck")
        if self.transport.is_closing() or self.gone:
            raise ClientGone(self.gone or "closed")

    def leave(self, cause: str, farewell: bytes, *, linger_seconds: float = 1.0) -> None:
        """Say *farewell* and cut the connection after *linger_seconds*, whether it was taken or not; once."""
        if self.gone:
            return
        self.gone = cause
        self.send(farewell)
        # Not cancelled when the connection ends first: an abort of what is closed does nothing.
        asyncio.get_running_loop().call_later(linger_seconds, self.transport.abort)
