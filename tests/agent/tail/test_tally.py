"""What is pending of the counts of lines, and the one parcel on its way: on disk, each line in one parcel."""

from collections import Counter
from pathlib import Path

import pytest

from agent.tail.paths import Instance
from agent.tail.store import Saved, TailStore
from agent.tail.tally import MAX_SERIES, Tally
from kubescribe.labels.enriching import Enrichment
from kubescribe.runtime.linefile import LineFile
from kubescribe.wire.records import MAX_LINE_COUNTS

ONE = Instance("shop", "web-0", "u-1", "app", 0)
NAMES = Enrichment(labels={"namespace": "shop", "workload": "web"}, metadata={})
NAMED = Saved(instance=ONE, enrichment=NAMES, place=(1, 0, 1))


def at(offset: int, **lines: int) -> Saved:
    return Saved(instance=ONE, place=(1, offset, 1), lines=lines)


def opened(tmp_path: Path) -> TailStore:
    return TailStore(tmp_path / "state", since=7)


def handed(store: TailStore) -> list[tuple[str, str, str, int]]:
    parcel = store.next_parcel()
    return list(parcel.counts) if parcel else []


def test_what_is_said_again_is_counted_once(tmp_path):
    store = opened(tmp_path)
    store.write([NAMED, at(10, info=3)])
    store.write([at(10, info=3), at(20, info=5, error=1)])

    assert handed(store) == [("shop", "web", "info", 5), ("shop", "web", "error", 1)]


def test_a_parcel_is_handed_over_until_it_is_safe_and_keeps_its_number_and_its_counts(tmp_path):
    store = opened(tmp_path)
    store.write([NAMED, at(10, info=3)])
    first = store.next_parcel()
    store.write([at(20, info=5)])

    assert store.next_parcel() == first
    again = opened(tmp_path)
    assert again.source == store.source
    again.tally.is_handed = False
    assert again.next_parcel() == first
    again.tally.is_handed = True
    second = again.next_parcel()
    assert (second.n, second.counts) == (first.n + 1, (("shop", "web", "info", 2),))
    again.tally.is_handed = True
    assert again.next_parcel() is None


def test_a_parcel_that_may_not_have_arrived_is_handed_over_by_the_next_life(tmp_path):
    store = opened(tmp_path)
    store.write([NAMED, at(10, info=3)])
    parcel = store.next_parcel()

    for _ in range(3):
        store = opened(tmp_path)
        assert store.next_parcel() == parcel


def test_what_was_handed_over_is_not_counted_again_when_the_file_is_written_anew(tmp_path):
    store = opened(tmp_path)
    store.write([NAMED, at(10, info=3)])
    store.next_parcel()
    store.write([at(20, info=4), Saved(instance=ONE, is_done=True, is_gone=True)])
    for _ in range(2):
        store = opened(tmp_path)

    assert handed(store) == [("shop", "web", "info", 3)]
    store.tally.is_handed = True
    assert handed(store) == [("shop", "web", "info", 1)]


def test_who_is_gone_and_is_told_to_be_gone_once_more_is_counted_once(tmp_path):
    store = opened(tmp_path)
    store.write([NAMED])
    gone = Saved(instance=ONE, lines={"info": 3}, is_done=True, is_gone=True)
    store.write([gone])
    store.write([gone])

    assert handed(store) == handed(opened(tmp_path)) == [("shop", "web", "info", 3)]
    assert store.tally.pending == {}


def test_counts_survive_a_disk_that_refuses(tmp_path, monkeypatch):
    store = opened(tmp_path)
    store.write([NAMED])

    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LineFile, "append", refused)
        with pytest.raises(OSError, match="No space"):
            store.write([at(10, info=3)])
        assert store.next_parcel() is None
    store.write([at(15, info=4)])

    assert handed(store) == [("shop", "web", "info", 4)]


def test_no_parcel_leaves_before_it_is_on_disk_also_where_the_file_has_to_be_written_anew(tmp_path, monkeypatch):
    store = opened(tmp_path)
    store.write([NAMED, at(10, info=3)])

    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LineFile, "is_bloated", lambda _: True)
        patch.setattr(LineFile, "rewrite", refused)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                store.next_parcel()

    assert handed(store) == handed(opened(tmp_path)) == [("shop", "web", "info", 3)]


def test_a_parcel_is_bounded_and_so_is_what_is_pending():
    tally = Tally()
    for number in range(MAX_SERIES + 50):
        tally.add("shop", f"web-{number}", {"info": 2})
    assert (len(tally.pending), tally.pending["shop", "other", "info"]) == (MAX_SERIES + 1, 100)

    total: Counter[str] = Counter()
    while (parcel := tally.next_parcel()) is not None:
        assert len(parcel.counts) <= MAX_LINE_COUNTS
        total.update({name: count for _, name, _, count in parcel.counts})
        tally.take(parcel)
    assert total.total() == 2 * (MAX_SERIES + 50)
