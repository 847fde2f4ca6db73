"""
The Gaps of one stream: from when it could not see, until when, and whether what was missed came after all. No I/O.

A Gap's id is made of stream, cause and start, so the same Gap found again after a restart is the same record. The start
is the last sign of completeness, which the stream's mark carries across restarts; 0 says that the agent does not know
it (a new spool), and that the Gap begins at the journal's own resume point.
"""

import hashlib

from kubescribe.wire.records import Gap

DISCONNECTED = "watch_disconnected"
EXPIRED = "expired"
NOT_WELCOMED = "not_welcomed"
OVERSIZED = "oversized"
RELISTED = "relisted"
RESTORED = "store_restored"
INTERRUPTED = "listing_interrupted"
UNDECODABLE = "undecodable"


def gap_id(stream: str, cause: str, start: int) -> str:
    """Return the id of a Gap: the same facts give the same id."""
    return hashlib.sha256(f"{stream}\n{cause}\n{start}".encode()).hexdigest()[:20]


class Blindness:
    """Whether a stream sees, and the open Gap when it does not."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._since: int | None = None
        self._noticed_at: float = 0.0
        self._open: Gap | None = None

    @property
    def is_blind(self) -> bool:
        """Tell whether the stream cannot see now."""
        return self._since is not None

    @property
    def has_open_gap(self) -> bool:
        """Tell whether the open Gap was handed out and waits for its end."""
        return self._open is not None

    @property
    def since(self) -> int | None:
        """Since when it cannot see, wall time in nanoseconds."""
        return self._since

    def begin(self, seen_at: int, noticed_at: float) -> None:
        """Note that the stream was cut: complete until *seen_at*, noticed at *noticed_at* (monotonic)."""
        if self._since is None:
            self._since = seen_at
            self._noticed_at = noticed_at

    def opened(self, now: float, blind_seconds: float, cause: str = DISCONNECTED, detail: str = "") -> Gap | None:
        """Return the open Gap once the stream has been blind for longer than *blind_seconds*; once for each time."""
        if self._since is None or self._open is not None or now - self._noticed_at < blind_seconds:
            return None
        self._open = Gap(
            id=gap_id(self._stream, cause, self._since),
            stream=self._stream,
            cause=cause,
            start=self._since,
            detail=detail[:256],
        )
        return self._open

    def end(self, now: int, *, is_lost: bool) -> Gap | None:
        """Note that the stream sees again and return the closed Gap, if one had been handed out."""
        opened, self._open = self._open, None
        self._since = None
        if opened is None:
            return None
        return closed(opened, now, is_lost=is_lost)


def closed(gap: Gap, to: int, *, is_lost: bool) -> Gap:
    """Return *gap* with its end and its outcome."""
    return Gap(
        id=gap.id,
        stream=gap.stream,
        cause=gap.cause,
        start=gap.start,
        to=max(to, gap.start),
        outcome="lost" if is_lost else "recovered",
        detail=gap.detail,
    )


def lost(
    stream: str,
    cause: str,
    start: int,
    to: int,
    *,
    detail: str = "",
    count: int | None = None,
    size: int | None = None,
) -> Gap:
    """Return a Gap in which versions were, or may have been, lost."""
    return Gap(
        id=gap_id(stream, cause, start),
        stream=stream,
        cause=cause,
        start=start,
        to=max(to, start),
        outcome="lost",
        count=count,
        bytes=size,
        detail=detail[:256],
    )
