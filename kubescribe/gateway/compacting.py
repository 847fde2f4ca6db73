"""
A segment of which little is open, written anew without what Loki has. Touches files; decides nothing.

What one stream holds up would keep all that lay beside it on the disk, until the spool is full of what Loki has.
"""

import contextlib
import os
from pathlib import Path

from kubescribe.gateway.finals import Finals
from kubescribe.gateway.segments import Segment

WORTH_SHARE = 0.75
"""Of a segment that is open: what has more is not worth the writing."""


def open_bytes(segment: Segment, finals: Finals) -> int:
    """Return how many bytes of *segment* are frames that are not final."""
    return sum(end - start for n, start, end in segment.extents if not finals.has(n))


def compact(segment: Segment, finals: Finals) -> Segment:
    """Replace the file of *segment* by one without what is final, durably; return it. Raises OSError."""
    temporary = segment.path.with_suffix(".new")
    try:
        new = _written(segment, finals, temporary)
        temporary.replace(segment.path)
    except OSError:
        # A full disk gets back what was begun.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return new


def _written(segment: Segment, finals: Finals, path: Path) -> Segment:
    new = Segment(segment.path)
    with segment.path.open("rb") as old, path.open("wb") as file:
        for index, (n, start, end) in enumerate(segment.extents):
            if finals.has(n):
                continue
            old.seek(start)
            new.note(n, segment.times[index], new.size, segment.tenants[index])
            new.size += file.write(old.read(end - start))
        file.flush()
        os.fsync(file.fileno())
    return new
