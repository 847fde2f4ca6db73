"""The recent records in memory."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.outlets.ring import Ring
from aggregator.records import Facets, Published


def item(seq, size=10):
    return Published(seq=seq, topic="changes", committed_at=0, facets=Facets(), json=b"x" * size)


@given(
    batches=st.lists(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 50)), max_size=60), max_size=60),
    max_items=st.integers(1, 40),
    max_bytes=st.integers(20, 900),
)
def test_everything_above_the_floor_is_there_and_the_bounds_hold(batches, max_items, max_bytes):
    ring = Ring(last_seq=5, max_items=max_items, max_bytes=max_bytes)
    added, seq = [], 5
    for batch in batches:
        items = []
        for step, size in batch:
            seq += step
            items.append(item(seq, size))
        ring.extend(items)
        added += items

    assert ring.after(ring.floor) == [one for one in added if one.seq > ring.floor]
    assert ring.last_seq == seq
    assert len(ring) <= max_items
    assert ring.bytes <= max_bytes
    assert ring.after(ring.last_seq) == []
    assert ring.after(ring.floor, 2) == ring.after(ring.floor)[:2]


def test_what_was_added_before_is_left_out():
    ring = Ring(last_seq=0, max_items=10, max_bytes=1000)
    ring.extend([item(1), item(2)])
    ring.extend([item(2), item(3)])

    assert [one.seq for one in ring.after(0)] == [1, 2, 3]
