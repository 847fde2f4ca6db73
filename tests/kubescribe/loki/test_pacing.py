"""A tenant is not held back until Loki refuses; then it sends what Loki says, and less while it refuses on."""

import pytest

from kubescribe.loki.pacing import Pacer

MIB = 2**20


def test_nothing_is_held_back_until_loki_refuses():
    pacer = Pacer(MIB)

    assert [pacer.seconds(MIB, 100.0) for _ in range(5)] == [0.0] * 5
    assert pacer.max_bytes == MIB


def test_the_pace_begins_below_the_limit_and_a_request_stays_below_the_burst():
    pacer = Pacer(MIB)

    pacer.refused(1_000_000, 100.0)

    assert pacer.pace_bytes == 900_000
    assert pacer.max_bytes == 225_000
    assert pacer.seconds(90_000, 100.0) == pytest.approx(1.0), "a pause for the bucket to fill"
    assert pacer.seconds(90_000, 100.0) == pytest.approx(1.1)


def test_the_pace_is_halved_while_others_take_their_share_and_grows_again():
    pacer = Pacer(MIB)
    pacer.refused(1_000_000, 100.0)
    pacer.refused(1_000_000, 100.1)
    assert pacer.pace_bytes == 900_000, "requests that were under way together are one refusal"

    pacer.refused(1_000_000, 102.0)
    assert pacer.pace_bytes == 450_000
    for _ in range(20):
        pacer.passed()

    assert pacer.pace_bytes == 900_000


def test_after_ten_minutes_without_a_refusal_it_is_as_before():
    pacer = Pacer(MIB)
    pacer.refused(1_000_000, 100.0)
    pacer.too_large(MIB, 100.0)

    assert pacer.seconds(1, 800.0) == 0.0
    assert (pacer.pace_bytes, pacer.max_bytes) == (0.0, MIB)


def test_a_proxy_that_names_no_limit_and_asks_for_a_pause_gets_it():
    pacer = Pacer(MIB)

    pacer.refused(0, 100.0, 7.0)

    assert pacer.seconds(1, 100.0) == pytest.approx(7.0)


def test_a_size_that_is_refused_is_halved_down_to_what_one_entry_may_need():
    pacer = Pacer(MIB)
    for _ in range(20):
        pacer.too_large(pacer.max_bytes, 1.0)

    assert pacer.max_bytes == 16 * 1024
