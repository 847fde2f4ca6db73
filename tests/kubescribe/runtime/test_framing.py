"""A frame is read back whole, and damage is told from a frame whatever bytes it has."""

from hypothesis import given
from hypothesis import strategies as st

from kubescribe.runtime.framing import PREFIX_BYTES, framed, frames_from


def payloads(data: bytes) -> list[tuple[bytes, bool]]:
    return [(bytes(found.payload), found.is_whole) for found in frames_from(data, 0, min_bytes=1, max_bytes=100)]


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=7))
def test_what_was_framed_is_read_back_and_a_torn_tail_is_not(written: list[bytes], tail: bytes) -> None:
    data = b"".join(b"".join(framed(each[:3], each[3:])) for each in written) + tail

    assert payloads(data) == [(payload, True) for payload in written]


def test_a_frame_with_a_flipped_bit_does_not_hide_those_behind_it() -> None:
    data = bytearray(b"".join((*framed(b"one"), *framed(b"two"))))
    data[PREFIX_BYTES] ^= 1

    assert payloads(bytes(data)) == [(b"nne", False), (b"two", True)]


@given(st.binary(max_size=200))
def test_any_bytes_end_the_reading_without_an_error(data: bytes) -> None:
    for payload, _ in payloads(data):
        assert len(payload) <= 100
