"""A way to see the records of all streams on their way to the spool, for parts of the agent that need them."""

from collections.abc import Awaitable, Callable, Sequence

from agent.spool.marks import StreamMark
from agent.watch.sink import Sink
from kubescribe.wire.records import AnyRecord, Change


class TappedSink:
    """
    Shows each Change to *observe*, which must be quick, has *keep* keep what was learned, and hands on to *sink*.

    In this order: once the stream's mark is on the disk, no watch comes back to what lies before it.
    """

    def __init__(self, sink: Sink, observe: Callable[[Change], None], keep: Callable[[], Awaitable[None]]) -> None:
        self._sink = sink
        self._observe = observe
        self._keep = keep

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:
        """Take *records* and *mark* as one."""
        for record in records:
            if type(record) is Change:
                self._observe(record)
        await self._keep()
        await self._sink.put(records, mark)
