"""
Where reading begins in files that were there before the agent ever was: at the first line that is not too old.

Waits for the disk: not for the loop.
"""

from agent.tail.generations import Generation, open_generation
from agent.tail.parsing import parse_line

_BLOCK_BYTES = 256 * 1024


def first_wanted(listing: list[Generation], since: int) -> tuple[Generation, int]:
    """Return the file, and the byte in it, where lines of *listing* (not empty) begin that are not before *since*."""
    wanted = listing[0]
    for generation in listing:
        if 0 < generation.identity <= since:
            wanted = generation
    if wanted.identity <= 0 or wanted.identity >= since:
        return wanted, 0
    try:
        return wanted, _offset_since(wanted, since)
    except (OSError, ValueError):
        return wanted, 0


def _offset_since(generation: Generation, since: int) -> int:
    """Return where the first line of *generation* that is not older than *since* begins."""
    file = open_generation(generation)
    offset, fragment = 0, b""
    try:
        while data := file.read(_BLOCK_BYTES):
            buffer = fragment + data
            end = buffer.rfind(b"\n") + 1
            last = parse_line(buffer[buffer.rfind(b"\n", 0, max(0, end - 1)) + 1 : max(0, end - 1)]).at if end else None
            if last is None or last < since:
                offset, fragment = offset + end, buffer[end:]
                continue
            for line in buffer[:end].split(b"\n"):
                at = parse_line(line).at
                if at is not None and at >= since:
                    return offset
                offset += len(line) + 1
        return offset
    finally:
        file.close()
