"""Where a stream stands. A value that only the watcher changes; what of it survives a restart is its StreamMark."""

import msgspec

from agent.spool.marks import StreamMark
from kubescribe.wire.link import Grant


class Position(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    The version to watch on from (0: none, a list is needed), and when the stream was last known to be complete.

    `is_listing` is true between begin and end of a Snapshot.
    """

    version: int = 0
    seen_at: int = 0
    is_listing: bool = False

    def marked(self, stream: str, epoch: int, term: int) -> StreamMark:
        """Return the mark of this position."""
        return StreamMark(
            stream=stream,
            resource_version=self.version,
            epoch=epoch,
            term=term,
            listing=self.is_listing,
            seen_at=self.seen_at,
        )


def position_of(mark: StreamMark | None) -> Position:
    """Return the position that *mark* keeps; an empty one without a mark."""
    if mark is None:
        return Position()
    return Position(version=mark.resource_version, seen_at=mark.seen_at, is_listing=mark.listing)


def is_own(grant: Grant, own: StreamMark | None) -> bool:
    """Tell whether a stream goes on where this agent's own mark is, and not where another's watch got to."""
    is_same = own is not None and own.epoch == grant.epoch
    return is_same and own is not None and (own.listing or own.resource_version >= grant.resource_version)


def start_from(grant: Grant, own: StreamMark | None) -> Position:
    """
    Return where a stream goes on: from its own mark when that is newer and of the same epoch, else from the journal's.

    A mark from within a listing wins too: what it began must be begun again. The later of the two times is kept: up to
    it the stream was complete, whoever held it.
    """
    mine = position_of(own)
    if is_own(grant, own):
        return mine
    return Position(version=grant.resource_version, seen_at=max(mine.seen_at, grant.complete_at))
