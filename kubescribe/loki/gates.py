"""What all lanes have to pass: open while Loki answers; closed, one of them at a time asks whether it does again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubescribe.runtime.backoff import Backoff
from kubescribe.runtime.clock import Clock


class Gate:
    """
    Closed by *patience* failures without a success between them, opened by the first success.

    While it is closed the lanes stand in line and the first of them tries, no sooner than the backoff says: a Loki
    that comes back is not met by everybody at once, and a lane that nobody can serve keeps no other from asking.
    """

    def __init__(self, *, first_seconds: float, cap_seconds: float, patience: int, clock: Clock) -> None:
        self._clock = clock
        self._backoff = Backoff(
            first_seconds=first_seconds, cap_seconds=cap_seconds, healthy_seconds=float("inf"), clock=clock
        )
        self._patience = patience
        self._failures = 0
        self._due_at = 0.0
        self._turn = asyncio.Lock()
        self._opened = asyncio.Event()
        self._opened.set()

    @property
    def is_closed(self) -> bool:
        """Tell whether the last answers were all failures."""
        return not self._opened.is_set()

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Wait until a request may go out. The block is the request, and tells how it went before it ends."""
        if self.is_closed:
            async with self._turn:
                await self._wait()
                if self.is_closed:
                    yield
                    return
        yield

    def succeeded(self) -> bool:
        """Take that Loki answered; tell whether that opened the gate."""
        self._failures = 0
        self._backoff.reset()
        was_closed = self.is_closed
        self._opened.set()
        return was_closed

    def failed(self, at_least_seconds: float = 0.0) -> bool:
        """Take that it did not, and wants to be left alone for a while; tell whether that closed the gate."""
        self._failures += 1
        if self._failures < self._patience:
            return False
        was_open = not self.is_closed
        self._opened.clear()
        self._due_at = self._clock.monotonic() + max(self._backoff.next_seconds(), at_least_seconds)
        return was_open

    async def _wait(self) -> None:
        while self.is_closed and (seconds := self._due_at - self._clock.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._opened.wait()
