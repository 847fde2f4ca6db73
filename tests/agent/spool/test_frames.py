"""The segment reader on whole, cut and damaged bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spool.frames import Frame, FrameHead, encode_frame, frames_in
from agent.spool.ledger import Span
from agent.spool.marks import StreamMark


def frame(n, batch):
    mark = StreamMark(stream="nodes", resource_version=n)
    span = Span(stream="nodes", count=1, first_at=n, last_at=n)
    return Frame(n=n, count=1, head=FrameHead(spans=(span,), marks=(mark,)), batch=batch)


BATCHES = st.lists(st.binary(max_size=50), min_size=1, max_size=8)


@settings(deadline=None)
@given(BATCHES)
def test_frames_are_read_as_they_were_written(batches):
    frames = [frame(n, batch) for n, batch in enumerate(batches, 1)]
    data = b"".join(map(encode_frame, frames))

    placed = list(frames_in(data))

    assert [one.frame for one in placed] == frames
    assert placed[-1].end == len(data)


@settings(deadline=None)
@given(BATCHES, st.data())
def test_a_cut_segment_gives_every_whole_frame_and_nothing_else(batches, data):
    encoded = [encode_frame(frame(n, batch)) for n, batch in enumerate(batches, 1)]
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    expected = sum(1 for k in range(1, len(encoded) + 1) if sum(map(len, encoded[:k])) <= cut)

    assert [one.frame.n for one in frames_in(whole[:cut])] == list(range(1, expected + 1))


@settings(deadline=None)
@given(BATCHES, st.data())
def test_a_damaged_byte_ends_the_reading_before_its_frame(batches, data):
    encoded = [encode_frame(frame(n, batch)) for n, batch in enumerate(batches, 1)]
    whole = bytearray(b"".join(encoded))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    damaged = next(k for k in range(len(encoded)) if sum(map(len, encoded[: k + 1])) > at)

    assert [one.frame.n for one in frames_in(bytes(whole))] == list(range(1, damaged + 1))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_never_an_error(data):
    list(frames_in(data))


def test_a_number_that_does_not_follow_ends_the_reading():
    data = encode_frame(frame(1, b"a")) + encode_frame(frame(3, b"b"))

    assert [one.frame.n for one in frames_in(data)] == [1]
    assert list(frames_in(data, after=5)) == []
