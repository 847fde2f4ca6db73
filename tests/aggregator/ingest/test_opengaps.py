"""The gaps that are open are found by id and by stream, however many others there are."""

from aggregator.ingest.opengaps import OpenGaps
from kubescribe.wire.records import Gap


def gap(gap_id: str, stream: str, start: int = 1) -> Gap:
    return Gap(id=gap_id, stream=stream, cause="agent_absent", start=start)


def test_the_gaps_of_a_stream_are_those_that_are_open_of_it_and_no_others() -> None:
    one, two, other = gap("1", "pods"), gap("2", "pods"), gap("3", "nodes")
    gaps = OpenGaps([one, two, other])

    gaps.close("1")
    gaps.close("never")

    assert gaps.of("pods") == (two,)
    assert gaps.of("nodes") == (other,)
    assert gaps.of("jobs") == ()
    assert gaps == {"2": two, "3": other}


def test_what_is_now_known_of_a_gap_replaces_what_was_also_its_stream() -> None:
    gaps = OpenGaps([gap("1", "pods"), gap("2", "pods")])

    gaps.put(gap("1", "pods", start=7))
    gaps.put(gap("2", "nodes"))

    assert gaps.of("pods") == (gap("1", "pods", start=7),)
    assert gaps.of("nodes") == (gap("2", "nodes"),)


def test_a_stream_without_open_gaps_costs_nothing() -> None:
    gaps = OpenGaps()

    for number in range(1000):
        gaps.put(gap("x", f"pods/node={number}"))
        gaps.close("x")

    assert (len(gaps), gaps._by_stream) == (0, {})


def test_the_gaps_of_a_stream_are_found_without_a_look_at_those_of_others() -> None:
    class Counting(OpenGaps):
        looks = 0

        def __iter__(self):
            Counting.looks += 1
            return super().__iter__()

    gaps = Counting(gap(str(number), f"pods/node={number}") for number in range(500))

    assert gaps.of("pods/node=7") == (gap("7", "pods/node=7"),)
    assert Counting.looks == 0
