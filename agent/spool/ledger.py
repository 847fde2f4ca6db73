"""
The drop ledger: what the spool gave up, until the journal has been told as Gaps. Pure values.

Dropped records are kept as one Span for each stream; a dropped Gap is kept whole, because it may be the record that
closes an open one. Both are bounded by the number of streams and by MAX_GAPS, beyond which closed Gaps are folded
into their stream's span.
"""

from collections.abc import Iterable

import msgspec

from kubescribe.wire.records import LINE_COUNTS_STREAM, AnyRecord, Gap, LineCounts, Presence, Progress

MAX_GAPS = 1024
SPOOL_FULL = "spool_full"
SPOOL_DAMAGED = "spool_damaged"
JOURNAL_LOST = "journal_lost"


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """
    Records of one stream: how many (0: unknown), and the first and last `observedAt` (nanoseconds).

    `stream` is "" where it is not known. `needs_snapshot` tells that objects were among them, so that losing them
    leaves the journal's state behind. `cause` becomes the Gap's.
    """

    stream: str
    count: int
    first_at: int
    last_at: int
    needs_snapshot: bool = False
    cause: str = SPOOL_FULL


class Ledger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    What was given up and not yet reported.

    `since_n` is the first frame given up: it makes the Gaps' ids the same when a crash repeats them.
    """

    since_n: int = 0
    spans: tuple[Span, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.spans or self.gaps)

    @property
    def count(self) -> int:
        """How many records were given up, Gaps aside."""
        return sum(span.count for span in self.spans)

    @property
    def relist(self) -> tuple[str, ...]:
        """The streams whose state the journal can no longer know without a list."""
        return tuple(dict.fromkeys(span.stream for span in self.spans if span.needs_snapshot and span.stream))

    def with_dropped(self, n: int, spans: Iterable[Span], gaps: Iterable[Gap]) -> "Ledger":
        """Return this ledger and what the frame numbered *n* held, or a whole segment beginning with it."""
        merged = merge_spans((*self.spans, *spans))
        kept = {gap.id: gap for gap in (*self.gaps, *gaps)}
        while len(kept) > MAX_GAPS:
            folded = kept.pop(next(iter(kept)))
            end = folded.start if folded.to is None else folded.to
            merged = merge_spans(
                (*merged, Span(stream=folded.stream, count=folded.count or 0, first_at=folded.start, last_at=end))
            )
        return Ledger(since_n=self.since_n or n, spans=merged, gaps=tuple(kept.values()))

    def as_gaps(self, spool_id: str, agent: str) -> tuple[Gap, ...]:
        """Return the Gap records that report this ledger of *agent*; the same ledger gives the same ids."""
        own = tuple(
            Gap(
                id=f"{span.cause}/{spool_id}/{self.since_n}/{span.stream}",
                stream=span.stream or f"agent/{agent}",
                cause=span.cause,
                start=span.first_at,
                to=span.last_at,
                outcome="lost",
                count=span.count or None,
            )
            for span in self.spans
        )
        return (*self.gaps, *own)


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return one span for each stream and cause, in the order in which they came first."""
    alike: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        alike.setdefault((span.stream, span.cause), []).append(span)
    return tuple([_merged(those) for those in alike.values()])


def _merged(spans: list[Span]) -> Span:
    """Return one span over all of *spans*, which are of one stream and cause: each record of a frame has one."""
    first = spans[0]
    if len(spans) == 1:
        return first
    return Span(
        stream=first.stream,
        count=sum([span.count for span in spans]),
        first_at=min([span.first_at for span in spans]),
        last_at=max([span.last_at for span in spans]),
        needs_snapshot=any(span.needs_snapshot for span in spans),
        cause=first.cause,
    )


def span_of(record: AnyRecord) -> Span | None:
    """
    Return what losing *record* would lose.

    None for a Gap (kept whole), a Presence (told again anyway) and a Progress (it says nothing but that nothing is
    missing).
    """
    if isinstance(record, Gap | Presence | Progress):
        return None
    is_state = not isinstance(record, LineCounts)
    return Span(
        stream=LINE_COUNTS_STREAM if isinstance(record, LineCounts) else record.stream,
        count=1,
        first_at=record.observed_at,
        last_at=record.observed_at,
        needs_snapshot=is_state,
    )
