"""
A push on its way: whole, or in parts when it is too large for one request, and what became of them. Pure.

A parcel is what one request carries of one push, at least one entry. Its bytes are those of the push: dividing cuts
between entries and changes none.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubescribe.loki.encoding import Span, join_entries, spans_of, time_of
from kubescribe.loki.pushes import Outcome, Push

LATE = "late"
"""The label of what came so late that its stream does not take it any more; the one value is "1"."""

_PAIR = re.compile(r'\s*,?\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*")')


@dataclass(slots=True, eq=False)
class Ticket:
    """What is known of one push: how much of it is still to be decided, and what was."""

    push: Push
    outcome: "asyncio.Future[Outcome]"
    undecided: int
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def decide(self, count: int, rejected: Mapping[str, int]) -> None:
        """Take that the fate of *count* entries is final, of which those in *rejected* were dropped."""
        self.undecided -= count
        self.accepted += count - sum(rejected.values())
        self.rejected.update(rejected)
        if self.undecided <= 0 and not self.outcome.done():
            self.outcome.set_result(Outcome(accepted=self.accepted, rejected=dict(self.rejected)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parcel:
    """Some entries of one push that travel together; `labels` are the push's, with `late` when they came too late."""

    ticket: Ticket
    labels: str
    entries: bytes
    count: int
    content_bytes: int
    first_at: int
    is_late: bool = False

    @property
    def size(self) -> int:
        """Bytes in a request, within a few."""
        return len(self.entries) + len(self.labels) + 16


def whole(ticket: Ticket) -> Parcel:
    """Return all of a push as one parcel."""
    push = ticket.push
    return Parcel(
        ticket=ticket,
        labels=push.labels,
        entries=push.entries,
        count=push.count,
        content_bytes=push.content_bytes,
        first_at=push.first_at,
        is_late=LATE in labels_of(push.labels),
    )


def fitting(parcel: Parcel, max_bytes: int) -> Iterator[Parcel]:
    """Yield *parcel* in parts of at most *max_bytes* each, in order; an entry that is larger travels alone."""
    if parcel.size <= max_bytes or parcel.count == 1:
        yield parcel
        return
    room = max(1, max_bytes - len(parcel.labels) - 16)
    part: list[Span] = []
    size = 0
    for span in spans_of(parcel.entries):
        length = span.end - span.start
        if part and size + length > room:
            yield _part(parcel, part)
            part, size = [], 0
        part.append(span)
        size += length
    yield _part(parcel, part)


def halves(parcel: Parcel) -> tuple[Parcel, Parcel]:
    """Return the first and the second half of a parcel with two entries or more."""
    spans = list(spans_of(parcel.entries))
    middle = len(spans) // 2
    return _part(parcel, spans[:middle]), _part(parcel, spans[middle:])


def too_late(parcel: Parcel, count: int) -> Parcel:
    """
    Return the *count* oldest entries, oldest first, under the label of what came late.

    A stream refuses what lies before a moment, so those that it refused are the oldest of what it was sent.
    """
    spans = sorted(spans_of(parcel.entries), key=lambda span: time_of(parcel.entries, span))
    chosen = spans[: min(count, len(spans))]
    return replace(_part(parcel, chosen), labels=_with_late(parcel.labels), is_late=True)


def labels_of(selector: str) -> dict[str, str]:
    """Return the labels in a stream's text, values quoted as they stand there."""
    return dict(_PAIR.findall(selector))


def _with_late(selector: str) -> str:
    labels = {**labels_of(selector), LATE: '"1"'}
    return "{" + ", ".join(f"{name}={labels[name]}" for name in sorted(labels)) + "}"


def _part(parcel: Parcel, spans: list[Span]) -> Parcel:
    entries = join_entries(parcel.entries, spans)
    share = parcel.content_bytes * len(entries) // max(1, len(parcel.entries))
    return replace(parcel, entries=entries, count=len(spans), content_bytes=share)
