"""
The gaps that are open, by id and by stream: in a fleet that comes back together there is one for every agent.

Every batch and every report asks what is open of its own streams, and must not pay for those of all the others.
"""

from collections.abc import Iterable, Iterator, Mapping

from kubescribe.wire.records import Gap


class OpenGaps(Mapping[str, Gap]):
    """By id, in the order in which they opened."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._gaps: dict[str, Gap] = {}
        self._by_stream: dict[str, dict[str, Gap]] = {}
        for gap in gaps:
            self.put(gap)

    def __getitem__(self, gap_id: str) -> Gap:
        return self._gaps[gap_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._gaps)

    def __len__(self) -> int:
        return len(self._gaps)

    def of(self, stream: str) -> tuple[Gap, ...]:
        """Return those of *stream*, at no cost for the others."""
        return tuple(self._by_stream.get(stream, {}).values())

    def put(self, gap: Gap) -> None:
        """Note a gap, or what is now known of it."""
        known = self._gaps.get(gap.id)
        if known is not None and known.stream != gap.stream:
            self.close(gap.id)
        self._gaps[gap.id] = gap
        self._by_stream.setdefault(gap.stream, {})[gap.id] = gap

    def close(self, gap_id: str) -> None:
        """Forget a gap, if it is open."""
        gap = self._gaps.pop(gap_id, None)
        if gap is None:
            return
        rest = self._by_stream[gap.stream]
        del rest[gap_id]
        if not rest:
            del self._by_stream[gap.stream]
