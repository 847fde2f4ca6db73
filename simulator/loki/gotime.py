"""Times as Go prints them in Loki's texts. Pure."""

from datetime import UTC, datetime

from simulator.loki.entries import NANOS


def rfc3339(at_ns: int) -> str:
    """Return time.RFC3339 in UTC: whole seconds, `Z`."""
    return datetime.fromtimestamp(at_ns // NANOS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(at_ns: int) -> str:
    """Return what Go's Time.String prints in UTC: a fraction without trailing zeros, and the zone twice."""
    seconds, nanos = divmod(at_ns, NANOS)
    fraction = f".{nanos:09d}".rstrip("0").rstrip(".")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") + fraction + " +0000 UTC"


def byte_size(size: int) -> str:
    """Return *size* as c2h5oh/datasize prints it: in the largest unit that divides it."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return f"{size}B"
