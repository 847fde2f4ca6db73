"""
What a subscription wants to hear: compiled once, equal for equal questions, so that subscribers can share.

The words are the parameters of `GET changes`, and the same record must match here as in `Journal.replay`: a feed goes
over from one to the other without a hole.
"""

from dataclasses import dataclass, fields

import msgspec

from aggregator.records import Published, RecordQuery, is_among

TOPICS = ("changes", "occurrences", "gaps", "objects", "presence")
"""What can be subscribed to. `objects` is state: derived from changes, the latest of each object wins."""

UNFILTERED_TOPICS = frozenset({"gaps", "presence"})
"""Topics that concern everybody: a gap may hide anything, whatever the filter asks for."""


class _Told(msgspec.Struct, gc=False):
    """The parts of a record's JSON that `q` and `reason` look at, beside the facets."""

    actor: msgspec.Raw = msgspec.Raw(b"")
    diff: msgspec.Raw = msgspec.Raw(b"")
    reason: str = ""
    message: str = ""


_TOLD = msgspec.json.Decoder(_Told)


@dataclass(slots=True, kw_only=True, frozen=True)
class Filter:
    """
    Any value that is not empty must match, of `namespace` one of several.

    `start` is exclusive and `to` inclusive, of observedAt, ns.
    """

    namespace: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    manager: str = ""
    reason: str = ""
    q: str = ""
    start: int | None = None
    to: int | None = None

    def query(self, *, after: int, limit: int) -> RecordQuery:
        """Return the question to the journal for what matches above the seq *after*, ascending."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return RecordQuery(**values, after=after, limit=limit, ascending=True)

    @property
    def is_open(self) -> bool:
        """True when everything matches."""
        return self == EVERYTHING

    def matches(self, item: Published) -> bool:
        """Tell whether *item* is wanted."""
        facets = item.facets
        if (
            (self.namespace and not is_among(facets.namespace, self.namespace))
            or (self.kind and facets.kind != self.kind)
            or (self.name and facets.name != self.name)
            or (self.uid and facets.uid != self.uid)
            or (self.manager and facets.manager != self.manager)
            or (self.start is not None and facets.observed_at <= self.start)
            or (self.to is not None and facets.observed_at > self.to)
        ):
            return False
        return not (self.reason or self.q) or self._matches_text(item)

    def _matches_text(self, item: Published) -> bool:
        told = _TOLD.decode(item.json)
        if self.reason and told.reason != self.reason:
            return False
        if not self.q:
            return True
        said = b"\n".join((bytes(told.actor), bytes(told.diff))).decode()
        text = f"{item.facets.name}\n{item.facets.kind}\n{told.reason}\n{told.message}\n{said}"
        return self.q.casefold() in text.casefold()


EVERYTHING = Filter()
"""Matches every record."""
