"""A ring keeps the last points, in order."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.outlets.usage.ring import POINTS, Ring

AMOUNT = st.integers(0, 2**62) | st.none()


@given(st.lists(st.tuples(st.integers(0, 2**62), AMOUNT, AMOUNT), max_size=3 * POINTS))
def test_the_last_points_come_back_oldest_first(points):
    ring = Ring()

    for point in points:
        ring.add(*point)

    assert list(ring.points()) == points[-POINTS:]
