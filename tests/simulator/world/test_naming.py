"""Names and stamps have the real forms."""

import random
import re

from simulator.world.naming import (
    hexadecimal,
    micro_stamp,
    parse_stamp,
    safe_encoded,
    stamp,
    suffix,
    template_hash,
    uuid,
)


def test_a_suffix_has_five_letters_of_the_real_alphabet():
    assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{5}", suffix(random.Random(1)))


def test_a_hash_is_the_same_for_the_same_template_in_any_order():
    assert template_hash({"a": 1, "b": {"c": 2}}) == template_hash({"b": {"c": 2}, "a": 1})
    assert template_hash({"a": 1}) != template_hash({"a": 2})
    assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{1,10}", template_hash({"a": 1}))


def test_safe_encoding_is_that_of_apimachinery():
    # ord("0") % 27 == 21, so 0…9 are the letters from the 22nd on, and then from the start.
    assert safe_encoded("0123456789") == "456789bcdf"


def test_identifiers_and_digits_have_their_length():
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", uuid(random.Random(2)))
    assert len(hexadecimal(random.Random(3), 64)) == 64


def test_stamps_are_in_utc_and_come_back():
    assert stamp(1_795_000_000.9) == "2026-11-18T11:06:40Z"
    assert micro_stamp(1_795_000_000.25) == "2026-11-18T11:06:40.250000Z"
    assert parse_stamp(stamp(1_795_000_000.0)) == 1_795_000_000.0
