"""What somebody else's numbers are worth: amounts, times and texts, or None for what cannot be. Pure, never raises."""

import math
from datetime import datetime

from kubescribe.wire.records import MAX_INTEGER

MAX_TEXT = 253
"""Of a name: what Kubernetes allows."""


def amount(value: object) -> int | None:
    """Return *value* as a whole number from 0 on; None for what is negative, no number or beyond all bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value)
    return value if 0 <= value <= MAX_INTEGER else None


def moment(text: object) -> int:
    """Return an RFC 3339 time as nanoseconds since 1970, 0 for what is none, or before."""
    if not isinstance(text, str) or len(text) > 64:
        return 0
    try:
        found = datetime.fromisoformat(text)
        seconds = found.timestamp() if found.tzinfo is not None else 0.0
    except (ValueError, OverflowError, OSError):
        return 0
    nanoseconds = int(seconds * 1e6) * 1_000
    return nanoseconds if 0 < nanoseconds <= MAX_INTEGER else 0


def name(text: object) -> str:
    """Return *text* if it can be a name, "" otherwise."""
    return text if isinstance(text, str) and 0 < len(text) <= MAX_TEXT and text.isprintable() else ""
