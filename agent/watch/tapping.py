"""A way to see the records of all streams on their way to the spool, for parts of the agent that need them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from agent.spool.marks import StreamMark
from agent.watch.sink import Sink
from kubescribe.wire.records import AnyRecord, Change


class Learner(Protocol):
    """Whoever needs to know; both must be quick."""

    def observe(self, change: Change) -> None:
        """Take a change."""
        ...

    def pass_mark(self, stream: str, *, is_listing: bool) -> None:
        """Take where *stream* stands after the changes of it that were observed: within a list or not."""
        ...


class TappedSink:
    """
    Shows each Change, and the mark behind them, to *learner*, has *keep* keep what was learned, hands on to *sink*.

    In this order: once the stream's mark is on the disk, no watch comes back to what lies before it.
    """

    def __init__(self, sink: Sink, learner: Learner, keep: Callable[[], Awaitable[None]]) -> None:
        self._sink = sink
        self._learner = learner
        self._keep = keep

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:
        """Take *records* and *mark* as one."""
        for record in records:
            if type(record) is Change:
                self._learner.observe(record)
        self._learner.pass_mark(mark.stream, is_listing=mark.listing)
        await self._keep()
        await self._sink.put(records, mark)
