"""
How many lines there were, handed over now and then: from the tailer's state to the spool, each of them once.

What lies in the state is pending until it is made a parcel, with a number, on disk. The parcel is handed over again
until it is known to be in the spool; what comes twice from there on is known by its number.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from agent.tail.states import States
from kubescribe.wire.records import LineCount, LineCounts

_FINISH_SECONDS = 2.0
"""What a stop waits for the spool's disk; what is not handed over then is by the next life."""

Counted = Callable[[LineCounts], Awaitable[bool]]
"""Takes counts of lines; returns when they are on disk, False where nobody would read them (yet)."""


async def nobody_counts(_: LineCounts) -> bool:
    """Take none."""
    return False


class Handing:
    """Hands over what *states* has; one call at a time."""

    def __init__(self, states: States, counted: Counted, *, now_ns: Callable[[], int]) -> None:
        self._states = states
        self._counted = counted
        self._now_ns = now_ns

    async def run(self, seconds: float) -> None:
        """Hand over every *seconds*, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self._hand_over()

    async def finish(self) -> None:
        """Hand over what there is, unless that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                await self._hand_over()

    async def _hand_over(self) -> None:
        while (parcel := await self._states.next_parcel()) is not None:
            counts = tuple(
                LineCount(namespace=namespace, workload=workload, level=level, count=count)
                for namespace, workload, level, count in parcel.counts
            )
            record = LineCounts(source=self._states.source, n=parcel.n, observed_at=self._now_ns(), counts=counts)
            if not await self._counted(record):
                return
            self._states.note_handed()
