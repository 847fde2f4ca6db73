"""Bodies at hand: always as they were put, never more than their share of memory."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.ingest.bodies import Bodies


def a_body(number: int) -> bytes:
    return b'{"kind":"Pod","metadata":{"name":"web-%d"},"spec":{"containers":[{"name":"web"}]}}' % number


def test_what_was_used_last_is_there_plain_and_what_was_used_before_packed():
    bodies = Bodies(plain_bytes=2 * len(a_body(0)), packed_bytes=10_000)
    for number in range(10):
        bodies.put(number, a_body(number))

    assert len(bodies._plain) == 2
    assert [bodies.get(number) for number in range(10)] == [a_body(number) for number in range(10)]
    assert sum(map(len, bodies._packed.values())) < 8 * len(a_body(0))


def test_what_falls_out_of_both_is_not_here():
    bodies = Bodies(plain_bytes=len(a_body(0)), packed_bytes=100)
    for number in range(100):
        bodies.put(number, a_body(number))

    assert bodies.get(0) is None
    assert bodies.get(99) == a_body(99)
    assert len(bodies) < 10


def test_a_body_that_is_larger_than_all_the_room_is_let_go():
    bodies = Bodies(plain_bytes=10, packed_bytes=10)
    bodies.put(1, bytes(range(256)) * 4)

    assert bodies.get(1) is None
    assert len(bodies) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("put", "drop")), st.integers(0, 5), st.binary(max_size=200))))
def test_the_room_is_what_it_was_when_everything_is_dropped(steps):
    bodies = Bodies(plain_bytes=300, packed_bytes=300)
    last: dict[int, bytes] = {}
    for step, seq, body in steps:
        if step == "put":
            bodies.put(seq, body)
            last[seq] = body
        else:
            bodies.drop(seq)
            last.pop(seq, None)
        assert all(bodies.get(it) in {None, kept} for it, kept in last.items())
    for seq in range(6):
        bodies.drop(seq)

    assert (len(bodies), bodies._plain_room, bodies._packed_room) == (0, 300, 300)
