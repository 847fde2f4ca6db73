"""
What waits in memory to become a frame. Pure bookkeeping: no clock, no waiting, no file.

Records are encoded as they arrive, so that the limit is one of bytes. A put that is too large for one frame is
spread over several; its mark goes with its last record, never before.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from agent.spool.frames import FrameHead
from agent.spool.ledger import Span, merge_spans, span_of
from agent.spool.marks import StreamMark
from kubescribe.wire.codec import encode_record
from kubescribe.wire.link import MAX_MESSAGE_BYTES
from kubescribe.wire.records import AnyRecord, Gap, LineCounts, Presence

MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - 64 * 1024
"""A larger record could not cross the link even alone; a Gap goes in its place."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The records of one frame to be: encoded one by one, not yet joined and compressed."""

    encoded: tuple[bytes, ...]
    head: FrameHead
    size: int


class _Item(msgspec.Struct, frozen=True, gc=False):
    encoded: bytes | None
    span: Span | None
    gap: Gap | None
    mark: StreamMark | None


class Intake:
    """Records in the order of their puts. `size` is what they take encoded, `records` how many they are."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self.size = 0
        self.records = 0
        self.oversized = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, records: Sequence[AnyRecord], mark: StreamMark | None) -> None:
        """Take *records*, and *mark* behind the last of them."""
        last = len(records) - 1
        for index, record in enumerate(records):
            self._append(record, mark if index == last else None)
        if not records and mark is not None:
            self._items.append(_Item(None, None, None, mark))

    def take(self, max_bytes: int, max_records: int) -> Draft:
        """Remove and return the next frame's worth: at most *max_bytes* unless the first record alone is larger."""
        encoded: list[bytes] = []
        spans: list[Span] = []
        gaps: list[Gap] = []
        marks: dict[str, StreamMark] = {}
        size = 0
        while self._items and len(encoded) < max_records:
            length = len(self._items[0].encoded or b"")
            if encoded and size + length > max_bytes:
                break
            item = self._items.popleft()
            size += length
            if item.encoded is not None:
                encoded.append(item.encoded)
            if item.span is not None:
                spans.append(item.span)
            if item.gap is not None:
                gaps.append(item.gap)
            if item.mark is not None:
                marks[item.mark.stream] = item.mark
        self.size -= size
        self.records -= len(encoded)
        head = FrameHead(spans=merge_spans(spans), marks=tuple(marks.values()), gaps=tuple(gaps))
        return Draft(tuple(encoded), head, size)

    def _append(self, record: AnyRecord, mark: StreamMark | None) -> None:
        data = encode_record(record)
        if len(data) > MAX_RECORD_BYTES:
            self.oversized += 1
            record = _gap_for(record, len(data))
            data = encode_record(record)
        self._items.append(_Item(data, span_of(record), record if isinstance(record, Gap) else None, mark))
        self.size += len(data)
        self.records += 1


def _gap_for(record: AnyRecord, size: int) -> Gap:
    if isinstance(record, Gap | Presence | LineCounts):
        # All are small by nature; one of this size is somebody's mistake and must not stop the spool.
        return Gap(id=f"record_too_large/{size}", stream="agent", cause="record_too_large", start=0, outcome="lost")
    return Gap(
        id=f"record_too_large/{record.stream}/{record.resource_version}/{record.observed_at}",
        stream=record.stream,
        cause="record_too_large",
        start=record.observed_at,
        to=record.observed_at,
        outcome="lost",
        count=1,
        bytes=size,
        detail=f"{getattr(record, 'namespace', '')}/{getattr(record, 'name', '')}"[:256],
    )
