"""
Files of one instance that were opened the moment they were found, until its reader knows them.

Of a pod of two seconds on a busy node the files may be gone before anybody looks at them: who has them open reads them
to their end all the same. Only what is being written is opened so; older generations are there for a while. All but
`add` waits for the disk: not for the loop.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from agent.tail.generations import Generation, identity_of, look_into, open_head_of


class _Handle(NamedTuple):
    descriptor: int
    is_gzip: bool

    @property
    def identity(self) -> int | None:
        return identity_of(open_head_of(self.descriptor, is_gzip=self.is_gzip))


class Handles:
    """The open files of one instance, in the order in which they were found."""

    def __init__(self) -> None:
        self._open: list[_Handle] = []
        self.added = 0
        """How many were taken ever."""

    def add(self, descriptor: int, *, is_gzip: bool = False) -> None:
        """Take an open file; from any thread."""
        self._open.append(_Handle(descriptor, is_gzip))
        self.added += 1

    @property
    def were_empty(self) -> bool:
        """Whether all that was found was open here, and nothing is in what is left of it."""
        return self.added > 0 and not self.nameless_bytes

    @property
    def nameless_bytes(self) -> int:
        """The bytes of files that have no whole line: nobody can tell when they are from."""
        return sum(os.fstat(each.descriptor).st_size for each in list(self._open) if each.identity is None)

    @property
    def held(self) -> tuple[int, int]:
        """The bytes that are on the disk only because they are open here, and of how many files."""
        statuses = [os.fstat(each.descriptor) for each in list(self._open)]
        sizes = [status.st_size for status in statuses if not status.st_nlink]
        return sum(sizes), len(sizes)

    def generations(self) -> list[Generation]:
        """Return the files that have a line by now."""
        found = [look_into(each.descriptor, is_gzip=each.is_gzip) for each in list(self._open)]
        return [generation for generation in found if generation is not None]

    def settle(self, listed: Collection[int]) -> None:
        """Close what is among the identities *listed*: what becomes of it will be noticed, or does not matter."""
        for each in list(self._open):
            if each.identity in listed:
                self._drop(each)

    def drop(self, identity: int) -> None:
        """Close the file *identity*: it is open elsewhere, or given up."""
        for each in list(self._open):
            if each.identity == identity:
                self._drop(each)

    def close(self) -> None:
        """Close everything."""
        for each in list(self._open):
            self._drop(each)

    def _drop(self, each: _Handle) -> None:
        with suppress(ValueError):
            self._open.remove(each)
            os.close(each.descriptor)
