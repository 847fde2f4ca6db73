"""Kubernetes' times (RFC 3339, seconds or microseconds, UTC) to nanoseconds since the Unix epoch. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from kubescribe.wire.records import MAX_INTEGER

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@lru_cache(maxsize=1024)
def parse_time(text: str) -> int | None:
    """
    Return *text* in nanoseconds, None when it is no time, or one that a record cannot carry.

    Remembers the last ones: writes share seconds.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    seconds, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone)).astimezone(UTC)
        nanoseconds = int(moment.timestamp()) * 10**9 + int((fraction or "").ljust(9, "0"))
    except (ValueError, OverflowError):
        return None
    # Go's zero time is in year 1; a record's times are from 1823 to 2116.
    return nanoseconds if abs(nanoseconds) <= MAX_INTEGER else None
