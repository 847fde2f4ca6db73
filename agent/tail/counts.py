"""What the tailer counts: plain numbers, read when Prometheus asks, and lines by level for whoever takes them."""

from collections import Counter
from dataclasses import dataclass, field

_MAX_SERIES = 10_000
"""Of (namespace, workload, level) between two takes; what comes above is counted under the workload `other`."""


@dataclass(slots=True, kw_only=True)
class TailCounts:
    """Counters of one agent's tailer; `lines` by (namespace, workload, level)."""

    gap_bytes: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    rejected_lines: Counter[str] = field(default_factory=Counter)
    unlabelled_lines: int = 0
    read_bytes: int = 0
    read_lines: int = 0
    store_failures: int = 0
    _lines: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add_lines(self, namespace: str, workload: str, levels: Counter[str]) -> None:
        """Count lines that were read."""
        for level, count in levels.items():
            if not count:
                continue
            key = (namespace, workload, level)
            if key not in self._lines and len(self._lines) >= _MAX_SERIES:
                key = (namespace, "other", level)
            self._lines[key] += count
            self.read_lines += count

    def take(self) -> Counter[tuple[str, str, str]]:
        """Return the lines of each (namespace, workload, level) that were read since the last call."""
        taken, self._lines = self._lines, Counter()
        return taken
