"""
How long a thread keeps Python's lock from the others while one of them works for long.

Five milliseconds are usual, and the event loop asks for the lock several times before it has answered anybody: a thread
that writes for a quarter of a second would hold it up by twenty at a time.
"""

import sys

TURN_SECONDS = 0.001
"""A switch costs some microseconds, so a hundredth at most."""


class Turns:
    """A context in which turns are short, for one thread to enter and leave; several may be open at once."""

    def __init__(self, seconds: float = TURN_SECONDS) -> None:
        self._seconds = seconds
        self._open = 0
        self._usual = 0.0

    @property
    def is_open(self) -> bool:
        """Whether some thread is at such work."""
        return self._open > 0

    def __enter__(self) -> None:
        if self._open == 0:
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(min(self._seconds, self._usual))
        self._open += 1

    def __exit__(self, *_: object) -> None:
        self._open -= 1
        if self._open == 0:
            sys.setswitchinterval(self._usual)


SHORT_TURNS = Turns()
"""The interval is the process's, and so is this."""
