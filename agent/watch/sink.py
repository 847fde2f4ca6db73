"""Where the records of a stream go: the promise that the watcher needs, and nothing of who keeps it."""

from collections.abc import Sequence
from typing import Protocol

from agent.spool.marks import StreamMark
from kubescribe.wire.records import AnyRecord


class Sink(Protocol):
    """Takes records, with the place in the stream that they lead to."""

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:
        """
        Take *records* and *mark* as one: after a crash both are there, or neither.

        In order for each stream. It may wait, which holds up the stream and nothing else.
        """
        ...
