"""Kubernetes quantities (`250m`, `1.5Gi`, `2e3`) as numbers of their base unit. Pure."""

import math
import re
from functools import lru_cache

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
_MAX_LENGTH = 64
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def quantity(text: str) -> float | None:
    """Return the number that *text* stands for (apimachinery, resource.Quantity); None for nonsense."""
    return _number(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _number(text: str) -> float | None:
    """Return the number; the last texts are remembered, since the pods of a cluster ask for few amounts."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    digits, exponent, suffix = found.groups()
    value = float(digits + (exponent or "")) * _FACTORS.get(suffix or "", 1.0)
    return value if math.isfinite(value) else None
