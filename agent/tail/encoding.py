"""
Blocks of a log file to pushes for Loki, a few hundred thousand lines a second. Pure but for what it carries on.

What is made depends on the file's bytes and on the instance's names alone, however the bytes were cut into blocks: so
whatever is read again after a crash is sent again as the same bytes, and Loki drops the repeat.

The straight way takes blocks of whole lines in valid UTF-8 of the CRI's format: it makes no object for a line but what
the split makes, and encodes from tables. Anything else (partial lines, Docker's format, damaged bytes, very long
lines) goes line by line; see joining.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from agent.tail.joining import Joiner, Place
from agent.tail.levels import Levels
from agent.tail.parsing import parse_line, parse_time
from kubescribe.labels.enriching import Enrichment
from kubescribe.loki.encoding import encode_entry, encode_metadata, varint
from kubescribe.loki.pushes import Push

_SECOND = 1_000_000_000
_SHORT = 16_384
_POWERS: tuple[int, ...] = tuple(10 ** (9 - digits) for digits in range(10))


class _Tables(NamedTuple):
    """
    Pieces of entries, by number.

    `keyed` are key and length of an entry, or of a line: both are field 2. `low` are fourteen bits of a varint that
    goes on, `end` the last fourteen or seven, `top` the last seven.
    """

    keyed: tuple[bytes, ...]
    low: tuple[bytes, ...]
    end: tuple[bytes, ...]
    top: tuple[bytes, ...]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    """Return the tables: 3 MB, for who encodes lines."""
    return _Tables(
        keyed=tuple(b"\x12" + varint(length) for length in range(2 * _SHORT)),
        low=tuple(bytes((number & 0x7F | 0x80, number >> 7 | 0x80)) for number in range(_SHORT)),
        end=tuple(varint(number) for number in range(_SHORT)),
        top=tuple(bytes((number,)) for number in range(128)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineNames:
    """What every line of an instance carries, encoded once: selectors by stream, structured metadata."""

    stdout: str
    stderr: str
    metadata: bytes
    metadata_bytes: int
    namespace: str
    workload: str
    is_partial: bool

    @classmethod
    def of(cls, enrichment: Enrichment) -> "LineNames":
        """Return what the lines that *enrichment* is about carry."""
        metadata = enrichment.metadata
        return cls(
            stdout=enrichment.selector("stdout"),
            stderr=enrichment.selector("stderr"),
            metadata=encode_metadata(metadata),
            metadata_bytes=sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()),
            namespace=enrichment.labels.get("namespace", ""),
            workload=enrichment.labels.get("workload", ""),
            is_partial=metadata.get("meta") == "partial",
        )


@dataclass(slots=True, kw_only=True)
class Gathered:
    """The entries of one stream, as they are made; `size` is that of their lines."""

    selector: str
    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    size: int = 0
    first_at: int = 2**63
    last_at: int = 0

    def add(self, at: int, text: bytes, metadata: bytes) -> None:
        """Add one entry."""
        self.parts.append(encode_entry(at, text, metadata))
        self.count += 1
        self.size += len(text)
        self.first_at = min(self.first_at, at)
        self.last_at = max(self.last_at, at)

    def push(self, metadata_bytes: int) -> Push:
        """Return all of it."""
        return Push(
            labels=self.selector,
            entries=b"".join(self.parts),
            count=self.count,
            content_bytes=self.size + self.count * metadata_bytes,
            first_at=self.first_at,
            last_at=self.last_at,
        )


class LineEncoder:
    """
    Encodes the lines of one instance, in their order.

    `last_at` is the time of the last line that had one: a line without (in no known format) takes it.
    """

    def __init__(self, names: LineNames, *, last_at: int) -> None:
        self.names = names
        self.last_at = last_at
        self.joiner = Joiner()
        self.levels: Counter[str] = Counter()
        self._levels = Levels()

    def encode(self, block: bytes, place: Place) -> list[Push]:
        """Return the pushes of *block*, which begins at *place* and ends with a line's end."""
        gathered = self._straight(block) or self._line_by_line(block, place)
        return [each.push(self.names.metadata_bytes) for each in gathered if each.count]

    def flush(self) -> list[Push]:
        """Return what is left of lines whose end never came."""
        gathered = self._gatherers()
        for stream, at, text, part in self.joiner.flush():
            self._add(gathered[stream == b"stderr"], at, text, part)
        return [each.push(self.names.metadata_bytes) for each in gathered if each.count]

    def take_levels(self) -> Counter[str]:
        """Return how many lines of each level there were since it was asked for last."""
        taken, self.levels = self.levels, Counter()
        return taken

    def _gatherers(self) -> tuple[Gathered, Gathered]:
        return Gathered(selector=self.names.stdout), Gathered(selector=self.names.stderr)

    def _straight(self, block: bytes) -> Sequence[Gathered] | None:  # noqa: C901, PLR0911, PLR0912, PLR0915 - hot
        """Return the entries of *block*, None when it is not as plain as most are."""
        if self.joiner.is_open or b" stdout P" in block or b" stderr P" in block:
            return None
        if not block.isascii():
            try:
                block.decode()
            except UnicodeDecodeError:
                return None
        lines = block.split(b"\n")
        lines.pop()
        keyed, low, end, top = _tables()
        stdout, stderr = self._gatherers()
        metadata = self.names.metadata
        # Key and length of the time (2), seconds (6) and the key of the nanoseconds (1).
        fixed = 9 + len(metadata)
        first = block[: block.find(b" ")]
        zone = first[-1:] if first.endswith(b"Z") else first[-6:]
        # In nine of ten lines the fraction has nine digits, and all in front of the text has one length.
        begin = 29 + len(zone) + len(b" stdout F ")
        marks = {zone + b" stdout F ": stdout, zone + b" stderr F ": stderr}
        second, base, head4, head5 = b"", 0, b"", b""
        at = 0
        rare: list[tuple[Gathered, bytes]] = []
        now, mark = stdout, zone + b" stdout F "
        parts, oldest, newest = now.parts, now.first_at, now.last_at
        try:
            for line in lines:
                found = line[29:begin]
                if found == mark:
                    text, digits = line[begin:], line[20:29]
                else:
                    stamp, stream, tag, text = line.split(b" ", 3)
                    digits = stamp[20 : -len(zone)]
                    found = zone + b" " + stream + b" " + tag + b" "
                    if not stamp.endswith(zone):
                        return None
                    if found != mark:
                        now.first_at, now.last_at = oldest, newest
                        now, mark = marks[found], found
                        parts, oldest, newest = now.parts, now.first_at, now.last_at
                if line[:20] != second:
                    second = line[:20]
                    whole = parse_time(second[:19] + zone)
                    if whole is None or second[19:] != b"." or whole < 2**28 * _SECOND:
                        return None
                    base = whole
                    seconds = b"\x08" + varint(base // _SECOND) + b"\x10"
                    head4, head5 = b"\x0a\x0b" + seconds, b"\x0a\x0c" + seconds
                if not digits.isdigit():
                    return None
                nanos = int(digits)
                if len(digits) != 9:
                    nanos *= _POWERS[len(digits)]
                length = len(text)
                if not 0 < length < _SHORT:
                    # Protobuf leaves out what is empty.
                    parts += (encode_entry(base + nanos, text, metadata), b"", b"", b"", b"", b"", b"", b"")
                    rare.append((now, text))
                elif nanos >= 0x10000000:
                    # The key of the line (1), its length (1 or 2) and its text, the nanoseconds (5 or 4).
                    parts += (
                        keyed[fixed + (7 if length < 0x80 else 8) + length],
                        head5,
                        low[nanos & 0x3FFF],
                        low[nanos >> 14 & 0x3FFF],
                        top[nanos >> 28],
                        keyed[length],
                        text,
                        metadata,
                    )
                elif nanos >= 0x200000:
                    parts += (
                        keyed[fixed + (6 if length < 0x80 else 7) + length],
                        head4,
                        low[nanos & 0x3FFF],
                        end[nanos >> 14],
                        b"",
                        keyed[length],
                        text,
                        metadata,
                    )
                else:
                    parts += (encode_entry(base + nanos, text, metadata), b"", b"", b"", b"", b"", b"", b"")
                    rare.append((now, text))
                at = base + nanos
                if at > newest:  # noqa: PLR1730 - a call costs
                    newest = at
                if at < oldest:  # noqa: PLR1730
                    oldest = at
        except (ValueError, IndexError, KeyError):
            return None
        now.first_at, now.last_at = oldest, newest
        self.last_at = at or self.last_at
        for each in (stdout, stderr):
            each.count = len(each.parts) // 8
            each.size = sum(map(len, each.parts[6::8]))
        for each, text in rare:
            each.size += len(text)
        self._count(stdout.parts[6::8] + stderr.parts[6::8], [text for _, text in rare])
        return stdout, stderr

    def _count(self, texts: list[bytes], rare: list[bytes]) -> None:
        self.levels.update(self._levels.count(texts))
        if rare:
            # Each has left an empty text where the others have theirs.
            self.levels.update(self._levels.count(rare))
            self.levels[""] -= len(rare)

    def _line_by_line(self, block: bytes, place: Place) -> Sequence[Gathered]:
        gathered = self._gatherers()
        offset = place.offset
        for line in block.split(b"\n")[:-1]:
            parsed = parse_line(line)
            if parsed.at is None:
                parsed = parsed._replace(at=self.last_at)
            begun = place._replace(offset=offset, last_at=self.last_at)
            for stream, at, text, part in self.joiner.add(parsed, begun):
                self._add(gathered[stream == b"stderr"], at, text, part)
            self.last_at = parsed.at if parsed.at is not None else self.last_at
            offset += len(line) + 1
        return gathered

    def _add(self, gathered: Gathered, at: int, text: bytes, part: int) -> None:
        if part < 2:
            self.levels[self._levels.find(text)] += 1
        numbered = self.names.metadata + encode_metadata({"part": str(part)}) if part else self.names.metadata
        gathered.add(at, text, numbered)
