"""What the tailer knows survives a crash at any byte."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tail.joining import Place
from agent.tail.paths import Instance
from agent.tail.store import Saved, TailStore
from kubescribe.labels.enriching import Enrichment

ONE = Instance("shop", "web-0", "u-1", "app", 0)
TWO = Instance("shop", "web-1", "u-2", "app", 3)
NAMES = Enrichment(labels={"namespace": "shop"}, metadata={"pod": "web-0"})


def test_names_and_places_are_there_again(tmp_path: Path) -> None:
    store = TailStore(tmp_path / "data" / "state", since=7)
    store.write([Saved(instance=ONE, enrichment=NAMES, frozen_at=5, place=(1, 0, 1))])
    store.write([Saved(instance=ONE, place=(1, 20, 3)), Saved(instance=TWO, place=(2, 9, 4), is_done=True)])

    again = TailStore(tmp_path / "data" / "state", since=99)

    assert again.since == 7
    one = again.instances[ONE]
    assert (one.enrichment, one.frozen_at, one.place, one.is_done) == (NAMES, 5, Place(0, 1, 20, 3), False)
    assert again.instances[TWO].is_done


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    store = TailStore(tmp_path / "state", since=7)
    store.write([Saved(instance=ONE, place=(1, 20, 3))])
    store.write([Saved(instance=ONE, is_gone=True)])

    assert TailStore(tmp_path / "state", since=0).instances == {}


@settings(max_examples=25)
@given(st.data())
def test_a_torn_file_is_what_it_was_before_the_line_that_was_torn(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("store") / "state"
    store = TailStore(path, since=7)
    for offset in range(1, 5):
        store.write([Saved(instance=ONE, place=(1, offset, 3))])
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n")

    again = TailStore(path, since=9)

    assert again.since == (7 if lines else 9)
    assert {kept.place.offset for kept in again.instances.values()} == ({lines - 1} if lines > 1 else set())


def test_the_file_stays_small(tmp_path: Path) -> None:
    store = TailStore(tmp_path / "state", since=7)
    news = [Saved(instance=Instance("shop", f"web-{number}", "u", "app", 0), place=(1, 2, 3)) for number in range(500)]
    for _ in range(60):
        store.write(news)

    assert (tmp_path / "state").stat().st_size < 2 * 2**20
    assert len(TailStore(tmp_path / "state", since=7).instances) == 500
