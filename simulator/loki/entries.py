"""What is pushed and how a push is refused, as values."""

from functools import lru_cache
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


def text_bytes(text: str) -> int:
    """Return the size of *text* in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


@lru_cache(maxsize=4096)  # The same for thousands of lines.
def metadata_bytes(metadata: Labels) -> int:
    """Return what structured metadata counts, in bytes (pkg/util/entry_size.go)."""
    return sum(text_bytes(name) + text_bytes(value) for name, value in metadata if name != "detected_level")


def entry_bytes(entry: Entry) -> int:
    """Return what an entry counts in the rate limits: line and structured metadata."""
    return text_bytes(entry.line) + metadata_bytes(entry.metadata)
