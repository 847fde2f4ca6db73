"""Packed values come back as they were, stay small, and damage is told."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.store.bodies import SHIPPED, DamagedValue, Packer, Unpacker, shipped_dictionary

DICTIONARIES = {number: shipped_dictionary(number) for number in SHIPPED}
PACKER = Packer(SHIPPED[-1], DICTIONARIES[SHIPPED[-1]])
UNPACKER = Unpacker(DICTIONARIES)


@given(st.binary(max_size=300) | st.integers(0, 40_000).map(lambda size: b'{"name":"web"}' * (size // 14)))
def test_what_was_packed_is_unpacked(data):
    assert UNPACKER.unpack(PACKER.pack(data)) == data


def test_a_tiny_value_stays_as_it_is():
    assert PACKER.pack(b"[]") == b"\0[]"


def test_a_recorded_pod_takes_few_bytes(pod_lives):
    bodies = [body for life in pod_lives.values() for body in life]

    assert sum(len(PACKER.pack(body)) for body in bodies) / len(bodies) < 330


@given(st.binary(max_size=60))
def test_damage_is_told_as_damage(data):
    with suppress(DamagedValue):
        UNPACKER.unpack(data)


def test_a_frame_that_claims_to_be_enormous_takes_no_memory():
    hash_like = bytes.fromhex("0167f78059e8468d979402ecaa370e8c")

    with pytest.raises(DamagedValue, match="ever written"):
        UNPACKER.unpack(hash_like)


def test_an_unknown_dictionary_is_told():
    with pytest.raises(DamagedValue, match="dictionary 07"):
        UNPACKER.unpack(b"\x07\x10" + b"x" * 20)


def test_an_older_dictionary_is_still_read_beside_a_newer_one():
    older = Packer(1, DICTIONARIES[1]).pack(b'{"metadata":{"name":"web-1"}}')

    assert Unpacker({**DICTIONARIES, 2: DICTIONARIES[1][::-1]}).unpack(older) == b'{"metadata":{"name":"web-1"}}'
