"""Durations as Prometheus writes them, which Loki takes in ranges, steps and `since`: `90s`, `1h30m`. Pure."""

import re

from simulator.loki.entries import NANOS

_WHOLE = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_SECONDS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)


class BadDuration(ValueError):
    """The text is no duration; the message is that of prometheus/common."""


def duration_ns(text: str) -> int:
    """Return the nanoseconds of *text*. Raises BadDuration."""
    if text == "0":
        return 0
    if not text:
        raise BadDuration("empty duration string")
    match = _WHOLE.fullmatch(text)
    if match is None:
        unit = re.fullmatch(r"\d+([a-zA-Z]+).*", text)
        if unit and not _WHOLE.fullmatch(f"1{unit[1]}"):
            raise BadDuration(f'unknown unit "{unit[1]}" in duration "{text}"')
        raise BadDuration(f'not a valid duration string: "{text}"')
    return sum(int(float(part) * seconds * NANOS) for part, seconds in zip(match.groups("0"), _SECONDS, strict=True))
