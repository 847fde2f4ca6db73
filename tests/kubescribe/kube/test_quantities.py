"""Quantities are read as Kubernetes means them, and nothing else is."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.kube.quantities import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("250m", 0.25), ("2", 2.0), ("0.5", 0.5), ("12345678n", 0.012345678), ("1e3", 1000.0), ("1E2", 100.0)),
        *(("128Mi", 128 * 2**20), ("1Gi", 2**30), ("64Ki", 65536), ("1k", 1000), ("5G", 5e9), ("1E", 1e18), (3, 3.0)),
    ],
)
def test_a_quantity_is_a_number(text, number):
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "ten", "1KI", "0x10", "\u0661", None, True, [], "NaN", "1e999"])
def test_what_is_no_quantity_is_none(text):
    assert quantity(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_none(text):
    number = quantity(text)

    assert number is None or math.isfinite(number)
