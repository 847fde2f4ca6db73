"""
The life of a daemon: named parts that run until the stop, and end in order. Not what the parts do.

A part that ends by itself, with an error or without, stops all the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from kubescribe.runtime.errors import PartEnded, StopTimedOut

STOP_SECONDS = 20.0
"""Kubernetes kills 30 s after it asked; what is not done by then would be lost in the middle of a write."""

_LAST_SECONDS = 1.0
"""What a cancelled part gets to end after the deadline has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    One thing that runs for the life of the process.

    `run` returns only after `stop` was called; `stop` asks it to finish and may wait until what is queued has gone
    out. A part without `stop` is cancelled. `name` is what an operator reads.
    """

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    stop: Callable[[], Awaitable[None]] | None = None


async def run_until(end: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """
    Run *work* until *end* returns, then cancel it and wait until it has ended.

    Returns as well when the work returns before; raises what either of them raises. When cancelled it cancels both.
    """
    waiter = asyncio.create_task(end, name="end")
    task = asyncio.create_task(work, name=getattr(work, "__qualname__", "work"))
    try:
        await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (waiter, task):
            each.cancel()
        await asyncio.wait({waiter, task})
    for each in (task, waiter):
        if not each.cancelled():
            each.result()


async def run_parts(stop: asyncio.Event, parts: Sequence[Part], *, stop_seconds: float = STOP_SECONDS) -> None:
    """
    Run *parts* until *stop* is set or one of them ends; then end them one after the other, in the order given.

    The order is that of the flow, sources first: what is still queued can then go out. All of it takes *stop_seconds*
    at most; what is left then is cancelled together, and named. Raises the error of the part that failed, PartEnded
    for one that returned, StopTimedOut when parts had to be cut off; an ExceptionGroup when there are several.
    When it is itself cancelled, it cancels every part, waits for them and raises CancelledError.
    """
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ValueError(f"two parts have the same name: {names}")
    tasks = {part.name: asyncio.create_task(part.run(), name=part.name) for part in parts}
    waiter = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait({waiter, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        errors = _ends(tasks, done, is_asked=stop.is_set())
        errors += await _stop_in_order(parts, tasks, stop_seconds)
    finally:
        await _cancel([waiter, *tasks.values()])
    _raise(errors)


def _ends(tasks: dict[str, asyncio.Task[None]], done: set[asyncio.Task[Any]], *, is_asked: bool) -> list[Exception]:
    ended = [name for name, task in tasks.items() if task in done]
    errors = {name: _error_of(tasks.pop(name)) for name in ended}
    return [error or PartEnded(name) for name, error in errors.items() if error or not is_asked]


async def _stop_in_order(
    parts: Sequence[Part], tasks: dict[str, asyncio.Task[None]], seconds: float
) -> list[Exception]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    errors: list[Exception] = []
    stuck: list[str] = []
    for part in parts:
        task = tasks.get(part.name)
        if task is None:
            continue
        try:
            async with asyncio.timeout_at(deadline) as scope:
                await _ask(part, task)
        except Exception as error:  # noqa: BLE001 - one part's failure to stop must not keep the others running
            if scope.expired():
                stuck.append(part.name)
            else:
                errors.append(error)
                await _cancel([task])
    if stuck:
        await _cancel([tasks[name] for name in stuck])
        errors.append(StopTimedOut(stuck, seconds))
    for name, task in tasks.items():
        if name not in stuck and task.done() and (failure := _error_of(task)) is not None and failure not in errors:
            errors.append(failure)
    return errors


async def _ask(part: Part, task: asyncio.Task[None]) -> None:
    if part.stop is None:
        task.cancel()
    elif not task.done():
        await part.stop()
    await asyncio.wait({task})


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    living = [task for task in tasks if not task.done()]
    for task in living:
        task.cancel()
    if living:
        await asyncio.wait(living, timeout=_LAST_SECONDS)


def _error_of(task: asyncio.Task[None]) -> Exception | None:
    """Return what *task* failed with; a cancellation is no failure, an exit is passed on at once."""
    if task.cancelled():
        return None
    error = task.exception()
    if error is None or isinstance(error, Exception):
        return error
    raise error


def _raise(errors: list[Exception]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several parts failed", errors)
