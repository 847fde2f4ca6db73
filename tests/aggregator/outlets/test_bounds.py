"""What the journal may take, and the disk that it is on."""

import os
from pathlib import Path

from aggregator.outlets.bounds import JournalBounds


def told(folder: Path | None) -> dict[str, list[float]]:
    bounds = JournalBounds(max_bytes=100, age_seconds=60.0, folder=folder)
    return {family.name: [it.value for it in family.samples] for family in bounds.collect()}


def test_the_limits_and_the_disk_are_told(tmp_path: Path) -> None:
    families = told(tmp_path)

    assert families["kubescribe_journal_limit_bytes"] == [100]
    assert families["kubescribe_journal_retention_seconds"] == [60.0]
    (size,) = families["kubescribe_journal_disk_bytes"]
    (available,) = families["kubescribe_journal_disk_available_bytes"]
    disk = os.statvfs(tmp_path)
    assert size == disk.f_blocks * disk.f_frsize
    assert 0 <= available <= size


def test_a_disk_that_is_not_there_has_no_samples_and_breaks_no_scrape(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "gone"):
        families = told(folder)

        assert families["kubescribe_journal_disk_bytes"] == []
        assert families["kubescribe_journal_disk_available_bytes"] == []
        assert families["kubescribe_journal_limit_bytes"] == [100]
