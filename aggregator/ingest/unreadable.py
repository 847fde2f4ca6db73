"""
Batches that do not decode: refused once, given up when they come again.

A frame that was damaged on its way is good the second time. One that was written so (by an agent of a version that this
aggregator cannot read) would come for ever, and everything behind it in that spool would wait for ever: it becomes a
Gap, and the streams of that spool send Snapshots.
"""

from collections import OrderedDict

from aggregator.ingest.gaps import add_gap
from aggregator.ingest.ledger import Draft
from aggregator.ingest.streams import owe
from kubescribe.wire.link import Batch
from kubescribe.wire.records import Gap

_REMEMBERED = 1024


class UnreadableBatches:
    """Which batches were refused before; the latest _REMEMBERED of them."""

    def __init__(self) -> None:
        self._refused: OrderedDict[tuple[str, int], None] = OrderedDict()

    def came_again(self, spool_id: str, n: int) -> bool:
        """Note that a batch did not decode; tell whether it was so before."""
        if (spool_id, n) in self._refused:
            del self._refused[spool_id, n]
            return True
        self._refused[spool_id, n] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        return False


def give_up(draft: Draft, *, agent: str, spool_id: str, batch: Batch, reason: str) -> None:
    """
    Write the Gap in the place of *batch*, and owe the Snapshots that mend the state.

    Nothing is written when the batch before it was not committed: both come again, in order.
    """
    if draft.last_batch(spool_id) != batch.n - 1:
        return
    held = [row for row in draft.ledger.streams.values() if row.holder == spool_id]
    now = draft.committed_at
    add_gap(
        draft,
        Gap(
            id=f"unreadable/{spool_id}/{batch.n}",
            stream=f"agent/{agent}",
            cause="unreadable_batch",
            # Nobody knows of which time its records are: not before what is known to be whole.
            start=min((row.complete_at for row in held), default=now),
            to=now,
            outcome="lost",
            count=batch.count,
            detail=reason[:256],
        ),
    )
    for row in held:
        owe(draft, row.name)
    draft.took_batch(spool_id, batch.n)
