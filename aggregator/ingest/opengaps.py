"""
The gaps that are open, by id and by stream.

After an outage there may be one for each of thousands of agents, while each batch and each report asks for those of
its own streams.
"""

from collections.abc import Iterable, KeysView, Mapping, ValuesView

from kubescribe.wire.records import Gap


class OpenGaps:
    """Every open gap; what is not open is not in it."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._by_id: dict[str, Gap] = {}
        self._by_stream: dict[str, dict[str, Gap]] = {}
        for gap in gaps:
            self.follow(gap)

    def __len__(self) -> int:
        return len(self._by_id)

    def follow(self, gap: Gap) -> None:
        """Take what is now known of *gap*."""
        before = self._by_id.pop(gap.id, None)
        if before is not None:
            of_stream = self._by_stream[before.stream]
            del of_stream[gap.id]
            if not of_stream:
                del self._by_stream[before.stream]
        if gap.outcome == "open":
            self._by_id[gap.id] = gap
            self._by_stream.setdefault(gap.stream, {})[gap.id] = gap

    def get(self, gap_id: str) -> Gap | None:
        """Return the gap of that id."""
        return self._by_id.get(gap_id)

    def of(self, *streams: str) -> list[Gap]:
        """Return the gaps of *streams*."""
        return [gap for stream in streams for gap in self._by_stream.get(stream, _NONE).values()]

    def streams(self) -> KeysView[str]:
        """Return the streams that have any."""
        return self._by_stream.keys()

    def values(self) -> ValuesView[Gap]:
        """Return all of them."""
        return self._by_id.values()


_NONE: Mapping[str, Gap] = {}
