"""
RFC 3339 times and integer nanoseconds since the Unix epoch, UTC.

JSON carries times as text with nine digits and `Z` (integers of nanoseconds exceed 2^53, what JavaScript can hold).
"""

import re
from calendar import timegm
from functools import lru_cache
from time import gmtime, strftime

NANOSECONDS = 1_000_000_000

_MAX_SECONDS = 2**62 // NANOSECONDS

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\d*(?:[Zz]|([+-])(\d\d):(\d\d))")


def to_rfc3339(nanoseconds: int) -> str:
    """Return *nanoseconds* as `2026-01-02T03:04:05.000000006Z`."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


@lru_cache(maxsize=4096)
def from_rfc3339(text: str) -> int:
    """Return the nanoseconds that *text* says, any offset, any number of digits. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not an RFC 3339 time such as 2026-01-02T03:04:05Z")
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31 and int(hour) < 24 and int(minute) < 60 and int(second) < 61):
        raise ValueError(f"{text[:64]!r} is not a time of any calendar")
    seconds = timegm((int(year), int(month), int(day), int(hour), int(minute), int(second), 0, 0, 0))
    if sign is not None:
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds -= offset if sign == "+" else -offset
    if not -_MAX_SECONDS < seconds < _MAX_SECONDS:
        raise ValueError(f"{text[:64]!r} is not between the years 1823 and 2116, which are what a record can tell")
    return seconds * NANOSECONDS + int((fraction or "0").ljust(9, "0"))
