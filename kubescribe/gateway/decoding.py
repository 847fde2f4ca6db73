"""
Who gets the one thread that understands bodies: who waits too long for it comes again, and so does who wastes it.

A shipper's bytes are worth the time that they take. A few kilobytes of gzip that become a body as large as is taken are
not: what they cost beyond that is held against the address that they came from, and runs out as time passes.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from kubescribe.gateway.errors import Busy
from kubescribe.gateway.intake import Received, Understood
from kubescribe.runtime.worker import Worker

PATIENCE_SECONDS = 3.0
"""With the five of admission below every shipper's timeout."""

WORTH_SECONDS_PER_BYTE = 3e-6
"""Of the body as it came: gzipped JSON takes 0.2 of ordinary lines, 1.7 of short ones, a bomb of 64 KB 7 and more."""

WORTH_SECONDS = 0.005
"""Of any push, however small."""

WASTED_SECONDS = 10.0
"""Of the thread, that one address may waste in a minute."""

_MINUTE_SECONDS = 60.0
_UNDER_WAY = 2
"""One that is understood, and the next, so that the thread need not wait for the loop."""

MAX_ADDRESSES = 1024


class Decoding:
    """Understands bodies in *thread*, first come first served."""

    def __init__(
        self,
        thread: Worker,
        understand: Callable[[Received], Understood],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._thread = thread
        self._understand = understand
        self._now = now
        self._turn = asyncio.Semaphore(_UNDER_WAY)
        self._wasted: dict[str, tuple[float, float]] = {}
        self.patience_seconds = PATIENCE_SECONDS

    async def understand(self, received: Received, address: str) -> Understood:
        """Return what *received*, from *address*, says. Raises Busy, BadPush or TooLarge."""
        if self.wasted_seconds(address) >= WASTED_SECONDS:
            raise Busy("the pushes from this address unpack to far more than was sent; they have to wait")
        size = len(received.body)
        await self._have_turn()
        try:
            used, failure, understood = await self._thread.run(partial(self._timed, received))
        finally:
            self._turn.release()
        self._charge(address, used - WORTH_SECONDS - size * WORTH_SECONDS_PER_BYTE)
        if understood is None:
            raise failure or RuntimeError("neither understood nor refused")
        return understood

    def wasted_seconds(self, address: str) -> float:
        """Return what is still held against *address*."""
        seconds, at = self._wasted.get(address, (0.0, 0.0))
        return max(0.0, seconds - (self._now() - at) * WASTED_SECONDS / _MINUTE_SECONDS)

    async def _have_turn(self) -> None:
        if not self._turn.locked():
            # It need not wait, so nobody has to look at the clock.
            await self._turn.acquire()
            return
        try:
            async with asyncio.timeout(self.patience_seconds):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy("too many pushes wait to be understood") from None

    def _timed(self, received: Received) -> tuple[float, Exception | None, Understood | None]:
        """In the thread. What is refused costs as well."""
        started = time.thread_time()
        try:
            understood = self._understand(received)
        except Exception as error:  # noqa: BLE001 - raised again in the loop
            return time.thread_time() - started, error, None
        return time.thread_time() - started, None, understood

    def _charge(self, address: str, seconds: float) -> None:
        if seconds <= 0:
            return
        left = self.wasted_seconds(address)
        self._wasted.pop(address, None)
        self._wasted[address] = (left + seconds, self._now())
        if len(self._wasted) > MAX_ADDRESSES:
            del self._wasted[next(iter(self._wasted))]
