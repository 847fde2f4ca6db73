"""What the tailer counts about its work: plain numbers, read when Prometheus asks."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class TailCounts:
    """Counters of one agent's tailer."""

    gap_bytes: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    rejected_lines: Counter[str] = field(default_factory=Counter)
    unlabelled_lines: int = 0
    read_bytes: int = 0
    read_lines: int = 0
    store_failures: int = 0
