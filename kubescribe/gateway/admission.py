"""How many bodies may lie in memory at once: the next one waits a little, and is then told to come again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubescribe.gateway.errors import Busy

WAITING_BYTES = 16 * 2**20
"""Of bodies that are read, understood or written; a single larger one is let in alone."""

PATIENCE_SECONDS = 5.0
"""Below every shipper's timeout (Promtail 10 s): some give up for good when they are refused twice."""


class Admission:
    """Lets bodies in, first come first served."""

    def __init__(self, max_bytes: int = WAITING_BYTES, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._max_bytes = max_bytes
        self._patience_seconds = patience_seconds
        self._turn = asyncio.Lock()
        self._left = asyncio.Event()
        self._waiting = 0
        self.inside = 0

    @asynccontextmanager
    async def let_in(self, size: int) -> AsyncIterator[None]:
        """Hold room for *size* bytes while the block runs. Raises Busy when there is none for too long."""
        if self._waiting or not self._has_room(size):
            await self._wait_for(size)
        self.inside += size
        try:
            yield
        finally:
            self.inside -= size
            self._left.set()

    async def _wait_for(self, size: int) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_seconds), self._turn:
                while not self._has_room(size):
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            raise Busy("too many pushes are on their way") from None
        finally:
            self._waiting -= 1

    def _has_room(self, size: int) -> bool:
        return not self.inside or self.inside + size <= self._max_bytes
