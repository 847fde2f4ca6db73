"""How long to wait before the next try. One state object for each thing that is tried; not a retry loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kubescribe.runtime.clock import Clock, SystemClock


@dataclass(slots=True, kw_only=True)
class Backoff:
    """
    Exponential delays with full jitter, and the memory of how far they have grown.

    The ceiling of a delay is `first_seconds`, then `factor` times more with each failure up to `cap_seconds`; the delay
    is drawn evenly between `floor_seconds` and it, so that a thousand clients that failed together do not return
    together. After `healthy_seconds` without a failure the growth begins anew: a connection that was accepted and
    dropped at once is not health. The defaults are those of client-go's reflector (0.8 s, doubled up to 30 s,
    2 min); the floor keeps a lucky draw from becoming a busy loop.
    """

    first_seconds: float = 0.8
    cap_seconds: float = 30.0
    factor: float = 2.0
    floor_seconds: float = 0.05
    healthy_seconds: float = 120.0
    clock: Clock = field(default_factory=SystemClock)
    draw: Callable[[float, float], float] = random.uniform
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    failures: int = 0
    _due_at: float = 0.0

    def next_seconds(self) -> float:
        """Count a failure and return how long to wait before the next try."""
        now = self.clock.monotonic()
        if self.failures and now - self._due_at >= self.healthy_seconds:
            self.failures = 0
        # The exponent is bounded: a float overflows after a thousand failures, which a night without network makes.
        ceiling = min(self.cap_seconds, self.first_seconds * self.factor ** min(self.failures, 64))
        self.failures += 1
        delay = self.draw(min(self.floor_seconds, ceiling), ceiling)
        self._due_at = now + delay
        return delay

    async def wait(self, at_least_seconds: float = 0.0) -> float:
        """Count a failure, sleep, and return how long; never less than *at_least_seconds* (a server's Retry-After)."""
        delay = max(self.next_seconds(), at_least_seconds)
        self._due_at = self.clock.monotonic() + delay
        await self.sleep(delay)
        return delay

    def reset(self) -> None:
        """Forget the failures: what was tried has succeeded beyond doubt."""
        self.failures = 0
