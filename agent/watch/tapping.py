"""A way to see the records of all streams on their way to the spool, for parts of the agent that need them."""

from collections.abc import Callable, Sequence

from agent.spool.marks import StreamMark
from agent.watch.sink import Sink
from kubescribe.wire.records import AnyRecord, Change


class TappedSink:
    """Hands on to *sink*, and shows each Change to *observe* when it was taken; *observe* must be quick."""

    def __init__(self, sink: Sink, observe: Callable[[Change], None]) -> None:
        self._sink = sink
        self._observe = observe

    async def put(self, records: Sequence[AnyRecord], mark: StreamMark) -> None:
        """Take *records* and *mark* as one."""
        await self._sink.put(records, mark)
        for record in records:
            if type(record) is Change:
                self._observe(record)
