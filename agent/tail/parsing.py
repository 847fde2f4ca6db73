r"""
One line of a container's log file, as runtimes write it. Pure, on bytes; any bytes are taken, nothing is raised.

    2026-01-02T03:04:05.123456789Z stdout F text           containerd: the fraction has no zeros at its end
    2026-01-02T03:04:05.123456780+01:00 stderr P text      CRI-O: always nine digits and an offset
    {"log":"text\n","stream":"stdout","time":"2026-…Z"}    Docker's json-file

The tag P says that the text goes on in the next line of the same stream, F that it ends here; a tag may carry more
behind colons, which kubelet (cri-client/pkg/logs/logs.go) ignores too. Not for whole blocks at speed: see encoding.
"""

from functools import lru_cache
from typing import NamedTuple

import msgspec

from kubescribe.wire.times import from_rfc3339

_POWERS: tuple[int, ...] = tuple(10 ** (9 - digits) for digits in range(10))
_SECOND_BYTES = 19
"""`2026-01-02T03:04:05`."""

STREAMS = (b"stdout", b"stderr")


class LogLine(NamedTuple):
    """
    A line of a file: `text` is what the container wrote, without the end of its line.

    `at` is None for a line that is in no known format; its `text` is all of it, and its stream counts as stdout.
    """

    at: int | None
    stream: bytes
    is_partial: bool
    text: bytes


class _DockerLine(msgspec.Struct, gc=False):
    log: str
    time: str
    stream: str = "stdout"


_DOCKER = msgspec.json.Decoder(_DockerLine)


def parse_line(line: bytes) -> LogLine:
    """Return what *line*, without its LF, says."""
    if line.startswith(b"{"):
        return _docker(line)
    pieces = line.split(b" ", 3)
    # A line without text may have lost the blank behind its tag.
    if len(pieces) < 3 or pieces[1] not in STREAMS:
        return LogLine(None, b"stdout", False, line)
    at = parse_time(pieces[0])
    tag = pieces[2].partition(b":")[0]
    if at is None or tag not in (b"P", b"F"):
        return LogLine(None, b"stdout", False, line)
    return LogLine(at, pieces[1], tag == b"P", pieces[3] if len(pieces) == 4 else b"")


def _docker(line: bytes) -> LogLine:
    try:
        decoded = _DOCKER.decode(line)
        at = parse_time(decoded.time.encode())
        stream = decoded.stream.encode()
    except (msgspec.MsgspecError, UnicodeError):
        at, stream = None, b""
    if at is None or stream not in STREAMS:
        return LogLine(None, b"stdout", False, line)
    # A lone surrogate is what is left of bytes that were no UTF-8.
    text = decoded.log.encode("utf-8", "replace")
    if text.endswith(b"\n"):
        return LogLine(at, stream, False, text[:-1])
    return LogLine(at, stream, True, text)


@lru_cache(maxsize=1024)
def _second(text: bytes) -> int | None:
    """Return the nanoseconds of a time without a fraction; lines of one second come together."""
    try:
        found = from_rfc3339(text.decode("ascii"))
    except ValueError:
        return None
    # Loki's times, and an encoder of unsigned numbers, begin at 1970.
    return found if found >= 0 else None


def parse_time(stamp: bytes) -> int | None:
    """Return the nanoseconds since 1970 that *stamp* says, with any number of digits and any offset."""
    if stamp[_SECOND_BYTES : _SECOND_BYTES + 1] != b".":
        return _second(stamp)
    zone = 1 if stamp.endswith(b"Z") else 6
    digits = stamp[_SECOND_BYTES + 1 : -zone]
    second = _second(stamp[:_SECOND_BYTES] + stamp[-zone:])
    if second is None or not digits.isdigit() or len(stamp) <= _SECOND_BYTES + zone:
        return None
    kept = digits[:9]
    return second + int(kept) * _POWERS[len(kept)]
