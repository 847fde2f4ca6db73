"""Quantities as the API server reads them."""

import pytest

from kubescribe.kube.quantities import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("100m", 0.1), ("1", 1), ("1.5Gi", 1.5 * 2**30), ("128Mi", 128 * 2**20), ("2k", 2000), ("1e3", 1000)),
        *(("0", 0), (".5", 0.5), ("5.", 5), ("1E", 1e18), ("1E2", 100), ("-1", -1), ("500n", 5e-7)),
        *(
            ("", None),
            ("many", None),
            ("1 Gi", None),
            ("1e999", None),
            ("0x10", None),
            ("9" * 400, None),
            ("1KB", None),
        ),
    ],
)
def test_a_quantity_is_its_number_and_nonsense_is_none(text: str, number: float | None) -> None:
    assert quantity(text) == (None if number is None else pytest.approx(number))
