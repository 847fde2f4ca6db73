"""What one process counts about its watches: plain numbers that only grow. Exporting them is the metrics' work."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from agent.watch.ending import CAUSES


@dataclass(slots=True)
class WatchCounters:
    """
    Shared by every watcher of a process.

    `restarts` is by cause, a closed set (`ending.CAUSES`), each there from the start. `blind_seconds` is by stream: the
    time in which it could not see; so is `lists`: those that came to their end, the first one included. Bytes are those
    of watch streams and lists, as decoded from the transfer.
    """

    bytes: int = 0
    events: int = 0
    bookmarks: int = 0
    listed: int = 0
    churn_dropped: int = 0
    oversized: int = 0
    undecodable: int = 0
    bodies_truncated: int = 0
    expired_events: int = 0
    inferred_deletes: int = 0
    verified_objects: int = 0
    restarts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CAUSES, 0)))
    blind_seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    lists: Counter[str] = field(default_factory=Counter)

    def forget(self, stream: str) -> None:
        """Forget what is counted by stream: nodes come and go, a series for each that ever was would grow for ever."""
        self.blind_seconds.pop(stream, None)
        self.lists.pop(stream, None)
