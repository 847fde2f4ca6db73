"""
How much of the node's time reading for somebody may take: half a core for each request, and an end when nobody waits.

Two requests are read for at the same time. A node agent has a fraction of a core for all it does, and the pods beside
it have better things to do than to wait for a search; what is read less is answered a little later.
"""

import threading
import time
from contextlib import AbstractContextManager
from typing import Self

_WORK_SECONDS = 0.05
"""So much is worked in one go: the newest lines of a pod, which most ask for, take less."""

_MAX_REST_SECONDS = 0.5


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Pace(AbstractContextManager["Pace"]):
    """The pace of one reading thread; leaving the block, or `abandon`, ends it at its next pause."""

    def __init__(self) -> None:
        self._abandoned = threading.Event()
        self._worked_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Let the thread end."""
        self._abandoned.set()

    def begin(self) -> None:
        """Count the work of this thread from now on."""
        self._worked_until = time.thread_time()

    def pause(self) -> None:
        """Rest as long as was worked. Raises Abandoned."""
        worked = time.thread_time() - self._worked_until
        if self._abandoned.is_set() or (
            worked >= _WORK_SECONDS and self._abandoned.wait(min(worked, _MAX_REST_SECONDS))
        ):
            raise Abandoned
        if worked >= _WORK_SECONDS:
            self._worked_until = time.thread_time()
