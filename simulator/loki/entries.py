"""What is pushed and how a push is refused, as values."""

from typing import NamedTuple

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

NANOS = 1_000_000_000


class Entry(NamedTuple):
    """One line of a stream; two that are equal are one to Loki, which drops the second (grafana/loki#21039)."""

    at: int
    """Nanoseconds since 1970."""
    line: str
    metadata: Labels = ()


class PushedStream(NamedTuple):
    """Some entries of one stream, as a request brings them."""

    labels: Labels
    """As sent: unsorted, possibly twice the same name; those with an empty value are gone already."""
    entries: list[Entry]


class Refusal(Exception):
    """A request is refused: a status and Loki's text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def metadata_bytes(metadata: Labels) -> int:
    """Return what structured metadata counts, in bytes (pkg/util/entry_size.go)."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in metadata if name != "detected_level")


def entry_bytes(entry: Entry) -> int:
    """Return what an entry counts in the rate limits: line and structured metadata."""
    return len(entry.line.encode()) + metadata_bytes(entry.metadata)
