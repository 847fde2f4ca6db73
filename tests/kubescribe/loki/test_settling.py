"""Whatever Loki answers, every entry of a request is done, goes back or comes late; none is lost or counted twice."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kubescribe.loki.answers import Meaning, Verdict
from kubescribe.loki.parcels import Ticket, whole
from kubescribe.loki.settling import settle
from tests.kubescribe.loki.house import labels_of, push_of

REASONS = st.sampled_from(["too_far_behind", "line_too_long", "too_far_in_future"])
STREAMS = st.sampled_from([labels_of("a"), labels_of("b"), labels_of("other"), ""])
MEANINGS = st.builds(
    Meaning,
    verdict=st.sampled_from(list(Verdict)),
    rejected=st.dictionaries(REASONS, st.integers(1, 12), max_size=3),
    whole_streams=st.dictionaries(STREAMS, st.just("invalid_labels"), max_size=2),
    stream=STREAMS,
    reason=st.just("other"),
)


def parcels_of(sizes):
    loop = asyncio.new_event_loop()
    try:
        pushes = [push_of("ab"[n % 2], *[f"{n}.{k}" for k in range(size)]) for n, size in enumerate(sizes)]
        return [whole(Ticket(push, loop.create_future(), push.count)) for push in pushes]
    finally:
        loop.close()


@settings(max_examples=150)
@given(MEANINGS, st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_every_entry_has_one_fate(meaning, sizes):
    parcels = parcels_of(sizes)

    settled = settle(meaning, parcels)

    done = sum(count for _, count, _ in settled.done)
    back = sum(parcel.count for parcel in settled.back)
    late = sum(parcel.count for parcel in settled.late)
    assert done + back + late == sum(sizes)
    for _, count, rejected in settled.done:
        assert 0 <= sum(rejected.values()) <= count
    streams = {parcel.labels for parcel in settled.back}
    assert b"".join(parcel.entries for parcel in settled.back) == b"".join(
        parcel.entries for parcel in parcels if parcel.labels in streams
    ), "what goes back keeps its bytes and its order"


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_a_request_that_is_refused_as_a_whole_gets_smaller_each_time(sizes):
    parcels = parcels_of(sizes)

    settled = settle(Meaning(verdict=Verdict.REFUSED, reason="other"), parcels)

    assert settled.back == parcels
    assert settled.cautions
