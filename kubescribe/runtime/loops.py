"""
The event loop of a daemon: uvloop, collections of garbage that are short, a watch on how long it stalls.

Not the parts that run on it.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from kubescribe.runtime.allocating import share_one_arena

T = TypeVar("T")

STALL_SECONDS = 0.020
"""A stall longer than this delays every client by it: the design's bound."""

TICK_SECONDS = 0.020
"""A stall of STALL_SECONDS + this is always seen, a shorter one sometimes; 50 wake-ups a second cost nothing."""


_YOUNGEST = 20_000
"""Objects more than were freed, after which Python looks through the youngest by itself."""

COLLECT_SECONDS = 0.1
"""Between two looks through the youngest objects: a hundredth of a millisecond where there are few."""

_DEEPER = 20
"""Each such look goes through those that survived the others as well."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a fresh uvloop loop until it ends, and return its result."""
    # Only a role pays for the import, not `--help`.
    import uvloop  # noqa: PLC0415

    share_one_arena()
    settle_garbage_collection()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def settle_garbage_collection() -> None:
    """
    Leave what the imports made out of every collection, and collect the rest seldom.

    A full collection walks every object: 130 to 250 ms with 5,000 clients of the feed, while nobody is answered. What
    a daemon makes by the million (records, bytes) is in no cycle, so most of that walking finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, 20, 50)


async def keep_collections_short(*, every_seconds: float = COLLECT_SECONDS) -> NoReturn:
    """
    Look through the youngest objects often, until cancelled.

    By itself Python does so when 20,000 more have been made than freed. Where as many are freed as made, as when nodes
    tell anew what 20,000 pods use, that is hardly ever: the youngest are a hundred thousand by then, and the loop
    stands still for all of them.

    Python's own deeper looks are rarer from then on, a full one is due in hours: only here, because whoever does not
    look by himself would keep old garbage for ever.
    """
    usual = gc.get_threshold()
    gc.set_threshold(_YOUNGEST, 2 * _DEEPER, 5_000)
    looks = 0
    try:
        while True:
            await asyncio.sleep(every_seconds)
            looks += 1
            gc.collect(0 if looks % _DEEPER else 1)
    finally:
        gc.set_threshold(*usual)


async def watch_stalls(
    stalled: Callable[[float], None], *, stall_seconds: float = STALL_SECONDS, tick_seconds: float = TICK_SECONDS
) -> None:
    """
    Tell *stalled* the seconds by which the loop was late, each time it was later than *stall_seconds*. Runs for ever.

    It measures how late a timer fires: a callback that held the loop, a garbage collection, a machine without CPU.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + tick_seconds
        await asyncio.sleep(tick_seconds)
        late = loop.time() - due
        if late > stall_seconds:
            stalled(late)
