"""Numbers are written as Grafana writes them."""

import math

import pytest

from dashboards.pictures.units import worded


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (0, "short", 0, "0"),
        (1640, "short", 0, "1.6 K"),
        (0.715, "percentunit", None, "71.5%"),
        (0.85, "percentunit", 0, "85%"),
        (1536, "bytes", None, "1.5 KiB"),
        (50 * 2**30, "bytes", 1, "50 GiB"),
        (205900, "Bps", None, "201.1 KiB/s"),
        (0, "s", 0, "0 s"),
        (0.0252, "s", None, "25.2 ms"),
        (83880, "s", 1, "23.3 hours"),
        (60, "s", None, "1 min"),
        (math.inf, "s", 0, "∞"),
        (4.36, "suffix:/min", None, "4.36/min"),
        (16.9, "reqps", None, "16.9 req/s"),
    ],
)
def test_a_number_is_written_in_its_unit(value: float, unit: str, decimals: int | None, words: str) -> None:
    assert worded(value, unit, decimals) == words
