"""What the journal may take, and what its disk has left: what its size and its horizon are held against."""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class JournalBounds(Collector):
    """
    The bounds of one journal: *max_bytes* (0: none) and *age_seconds* as they were set, and the disk of *folder*.

    None as the *folder* is a journal that is not on a disk of ours. A disk that does not answer has no samples.
    """

    def __init__(self, *, max_bytes: int, age_seconds: float, folder: Path | None) -> None:
        self._max_bytes = max_bytes
        self._age_seconds = age_seconds
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield GaugeMetricFamily(
            "kubescribe_journal_limit_bytes",
            "What the journal may take, then its oldest records go before their time; 0: no limit.",
            value=self._max_bytes,
        )
        yield GaugeMetricFamily(
            "kubescribe_journal_retention_seconds", "How long records are to be kept.", value=self._age_seconds
        )
        available = GaugeMetricFamily(
            "kubescribe_journal_disk_available_bytes", "What is free on the file system that the journal is on."
        )
        size = GaugeMetricFamily("kubescribe_journal_disk_bytes", "Size of the file system that the journal is on.")
        if self._folder is not None:
            try:
                told = os.statvfs(self._folder)
            except OSError:
                pass
            else:
                available.add_metric((), told.f_bavail * told.f_frsize)
                size.add_metric((), told.f_blocks * told.f_frsize)
        yield from (available, size)
