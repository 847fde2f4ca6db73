"""Counts of lines on their way into the spool: only where the journal's aggregator can read them."""

from agent.spool.spool import Spool
from kubescribe.wire.link import Welcome
from kubescribe.wire.records import LineCounts


class CountsIntoSpool:
    """Puts counts of lines into *spool* once an aggregator has said that it takes them."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._are_taken = False

    def welcome(self, welcome: Welcome) -> None:
        """Hear what the aggregator can do."""
        self._are_taken = welcome.takes_line_counts

    async def __call__(self, record: LineCounts) -> bool:
        """Return True when *record* is on disk, False when nobody would read it; it is kept where it is then."""
        if not self._are_taken:
            return False
        await self._spool.put([record], None)
        await self._spool.flush()
        return True
