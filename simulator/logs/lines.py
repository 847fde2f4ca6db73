"""
Lines out of a container's log file, as a kubelet reads them for `kubectl logs` (cri-client/pkg/logs).

The kubelet reads the file that is written now, never an older generation; parts of a line are put together again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from simulator.logs.records import NANOS, Format, Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines are asked for."""

    tail_lines: int | None = None
    since_ns: int = 0
    timestamps: bool = False
    limit_bytes: int | None = None


class LineReader:
    """Reads one log file from its beginning and then goes on with what is added."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._path = path
        self._wanted = wanted
        self._offset = 0
        self._left = wanted.limit_bytes
        self._is_begun = False
        self._is_inside = False
        """Whether the last record was a part of a line."""
        self._layout = Format(Runtime.CRIO)
        """The API's timestamps have nine digits, whatever the runtime writes."""

    def read(self) -> bytes:
        """Return what is asked for of what was added since the last call; nothing for a file that is gone."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return b""
        data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        records: Iterable[bytes] = data.splitlines()
        if not self._is_begun and self._wanted.tail_lines is not None:
            count = self._wanted.tail_lines
            records = list(records)[-count:] if count else ()
        self._is_begun = True
        return self._limited(b"".join(self._texts(records)))

    @property
    def is_full(self) -> bool:
        """Whether limit_bytes is used up."""
        return self._left == 0

    def _texts(self, records: Iterable[bytes]) -> Iterator[bytes]:
        for record in records:
            stamp, _, rest = record.partition(b" ")
            _, _, rest = rest.partition(b" ")
            tag, _, content = rest.partition(b" ")
            at = nanoseconds(stamp.decode())
            if at < self._wanted.since_ns:
                continue
            if self._wanted.timestamps and not self._is_inside:
                yield self._layout.timestamp(at).replace("+00:00", "Z").encode() + b" "
            self._is_inside = tag.partition(b":")[0] == b"P"
            yield content if self._is_inside else content + b"\n"

    def _limited(self, text: bytes) -> bytes:
        if self._left is None:
            return text
        text = text[: self._left]
        self._left -= len(text)
        return text


def nanoseconds(stamp: str) -> int:
    """Return the nanoseconds since 1970 of a record's timestamp."""
    second = stamp[:19]
    rest = stamp[19:]
    fraction = ""
    if rest.startswith("."):
        digits = 1
        while digits < len(rest) and rest[digits].isdigit():
            digits += 1
        fraction, rest = rest[1:digits], rest[digits:]
    at = datetime.fromisoformat(second + ("+00:00" if rest == "Z" else rest))
    return int(at.timestamp()) * NANOS + int(fraction[:9].ljust(9, "0") or 0)
