"""Quantities as Kubernetes writes them (`100m`, `128Mi`, `12345678n`, `1e3`), as numbers. Pure."""

import re

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}))([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
)
_FACTORS = {
    "": 1.0,
    **{suffix: 10.0**power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: 10.0 ** (3 * power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": 1024.0**power for power, suffix in enumerate("KMGTPE", start=1)},
}


def quantity(text: object) -> float | None:
    """Return the number that *text* says (of CPU, cores; of memory, bytes); None when it is no quantity."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    number, suffix = float(found[1]), found[2] or ""
    if suffix in _FACTORS:
        return number * _FACTORS[suffix]
    return number * 10.0 ** int(suffix[1:])
