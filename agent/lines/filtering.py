"""What of the lines is wanted, and how it is told: levels, patterns, scrubbing. Pure."""

from collections.abc import Sequence

from agent.errors import Undecodable
from agent.lines.joining import Entry
from kubescribe.lines.levels import LEVELS, level_of
from kubescribe.lines.patterns import BadPattern, Pattern
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.link import MAX_LINE_BYTES, Line, LineQuery


class Sieve:
    """
    Decides about entries, and makes lines of those that are wanted.

    The pattern is held against what is left of a line when it is scrubbed: else it could ask for what nobody may read,
    letter by letter. Raises Undecodable for a question that cannot be.
    """

    def __init__(self, query: LineQuery, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._since = query.since
        self._until = query.until
        if not set(query.levels) <= {*LEVELS, ""}:
            raise Undecodable(f"levels: {', '.join(query.levels)[:64]!r}: expected some of {', '.join(LEVELS)}")
        self._levels: Sequence[str] = frozenset(query.levels) if query.levels else ()  # type: ignore[assignment]
        try:
            self._pattern = Pattern(query.grep) if query.grep else None
        except BadPattern as error:
            raise Undecodable(f"grep: {error}") from error

    def wants(self, entry: Entry) -> bool:
        """Tell whether *entry* is wanted."""
        if entry.at < self._since or (self._until and entry.at >= self._until):
            return False
        if self._levels and level_of(entry.text) not in self._levels:
            return False
        return self._pattern is None or self._pattern.is_in(self._scrubber.scrub(entry.text))

    def line(self, entry: Entry, *, pod: int, container: str, restart: int) -> Line:
        """Return *entry* as people may read it."""
        text = self._scrubber.scrub(entry.text)
        # Bytes that are no UTF-8 become one character each, of three bytes; a mark may be longer than what it hides.
        told = text.decode("utf-8", "replace")
        if len(text) > MAX_LINE_BYTES // 3:
            told = told.encode()[:MAX_LINE_BYTES].decode("utf-8", "ignore")
        return Line(
            pod=pod,
            container=container,
            at=entry.at,
            text=told,
            restart=restart,
            stream=entry.stream.decode(),
            level=level_of(entry.text),
        )
