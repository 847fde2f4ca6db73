"""The oracle itself: a version that is missing is forgiven only for a Gap that lies over it, in its own stream."""

import json
import sqlite3

import msgspec
import pytest

from simulator.history import RESTORED, Record
from tests.chaos.oracle import Lost, judge

UID = "00000000-0000-0000-0000-000000000001"


def a_write(revision: int, value: int, *, era: int = 0, kind: str = "MODIFIED") -> Record:
    body = msgspec.Raw(json.dumps({"value": value}).encode())
    return Record(revision, era, kind, "deployments.apps", "shop", "web", UID, object=body)


@pytest.fixture
def journal(tmp_path):
    """Return a function that writes versions, (epoch, resourceVersion, observedAt), as a journal has them."""

    def write(*versions):
        path = tmp_path / "journal.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE objects (id, uid)")
            connection.execute("INSERT INTO objects VALUES (1, ?)", (UID,))
            connection.execute(
                "CREATE TABLE changes (object, epoch, resource_version, gone, seq, verb, late, observed_at, listed)"
            )
            rows = [(1, epoch, rv, 0, seq, 2, 0, at, 0) for seq, (epoch, rv, at) in enumerate(versions)]
            connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.close()
        return path

    return write


@pytest.mark.parametrize(
    ("gap", "is_forgiven"),
    [
        (Lost("deployments", 12, 28), True),
        (Lost("agent/all", 12, 28), True),
        (Lost("pods", 12, 28), False),
        (Lost("deployments", 2, 8), False),
        (Lost("deployments", 32, 40), False),
    ],
    ids=["over-it", "of-the-agent", "of-another-stream", "before-it", "after-it"],
)
def test_a_missing_version_is_forgiven_for_a_gap_over_it_in_its_stream(journal, gap, is_forgiven):
    history = [a_write(1, 1, kind="ADDED"), a_write(2, 2), a_write(3, 3)]
    path = journal((1, 1, 10), (1, 3, 30))

    finding = judge(history, path, since=0, until=3, gaps=[gap])

    assert (finding.problems == []) == is_forgiven
    assert finding.missing_in_gaps == is_forgiven


def test_what_was_seen_before_a_restore_says_nothing_about_the_time_after_it(journal):
    history = [a_write(n, n, kind="ADDED" if n == 1 else "MODIFIED") for n in range(1, 6)]
    history += [Record(2, 1, RESTORED), a_write(3, 30, era=1), a_write(4, 40, era=1)]
    path = journal(*((1, n, n * 10) for n in range(1, 6)), (2, 4, 90))

    early = judge(history, path, since=0, until=4, gaps=[Lost("deployments", 25, 45)], era=1)
    rightly = judge(history, path, since=0, until=4, gaps=[Lost("deployments", 55, 85)], era=1)

    assert len(early.problems) == 1
    assert rightly.problems == []


def test_what_equals_the_restored_state_is_no_news(journal):
    history = [a_write(1, 1, kind="ADDED"), a_write(2, 2), Record(1, 1, RESTORED), a_write(2, 1, era=1)]
    path = journal((1, 1, 10), (1, 2, 20))

    finding = judge(history, path, since=0, until=2, era=1)

    assert finding.problems == []
