"""Open gaps are found by id and by stream, and nothing is kept of those that are closed."""

from msgspec.structs import replace

from aggregator.ingest.opengaps import OpenGaps
from kubescribe.wire.records import Gap


def a_gap(gap_id: str, stream: str) -> Gap:
    return Gap(id=gap_id, stream=stream, cause="agent_absent", start=1)


def test_they_are_found_by_id_and_by_stream():
    one, two, other = a_gap("1", "a"), a_gap("2", "a"), a_gap("3", "b")
    gaps = OpenGaps([one, two, other])

    assert gaps.get("2") == two
    assert gaps.of("a", "c") == [one, two]
    assert list(gaps.streams()) == ["a", "b"]


def test_what_is_closed_leaves_nothing_behind():
    gap = a_gap("1", "a")
    gaps = OpenGaps([gap])
    gaps.follow(replace(gap, to=2, outcome="recovered"))

    assert (len(gaps), gaps.get("1"), gaps.of("a"), list(gaps.streams())) == (0, None, [], [])


def test_what_is_known_anew_takes_the_place_of_what_was():
    gaps = OpenGaps([a_gap("1", "a")])
    gaps.follow(a_gap("1", "b"))

    assert (len(gaps), gaps.of("a"), list(gaps.streams())) == (1, [], ["b"])
