"""
One thread that does jobs in the order in which they were given, each awaited in the event loop.

What `run_in_executor` does, with half of the steps: no future of the thread's own beside the loop's, no locks but the
queue's. It counts where there are thousands of short jobs a second.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

_Result = TypeVar("_Result")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Worker:
    """A thread called *name*, running inside a `with`; at the end of the block what was given is still done."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._is_over = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over = True
        self._jobs.put(None)
        self._thread.join()

    def run(self, job: Callable[[], _Result]) -> "asyncio.Future[_Result]":
        """Have *job* done; what it returns or raises is the future's. One that is cancelled in time is left out."""
        if self._is_over:
            raise RuntimeError(f"{self._thread.name} takes no job any more")
        done: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, done))
        return done

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            _do(*given)
            # While it waits for the next one it holds nothing of this one.
            del given


def _do(job: Callable[[], _Result], done: "asyncio.Future[_Result]") -> None:
    if done.cancelled():
        return
    tell: Callable[[Any], None]
    result: _Result | BaseException
    try:
        tell, result = done.set_result, job()
    except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
        tell, result = done.set_exception, _held(error)
    try:
        done.get_loop().call_soon_threadsafe(_told, done, tell, result)
    except RuntimeError:
        # The loop is closed: nobody waits any more.
        return


def _held(error: BaseException) -> BaseException:
    """Return *error*, or what tells of it: no future takes a StopIteration, and who awaits it would wait for ever."""
    if not isinstance(error, StopIteration):
        return error
    telling = RuntimeError("a job raised StopIteration")
    telling.__cause__ = error
    return telling


def _told(done: "asyncio.Future[_Result]", tell: Callable[[Any], None], result: Any) -> None:
    if not done.done():
        tell(result)
