"""
The values that travel between ingest, store, outlets and web.

Rows are what the journal keeps. A `Plan` is one transaction: ingest decides it, a store executes it whole or not at
all. Nothing here does I/O.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import msgspec

from kubescribe.wire.records import Gap, Occurrence, Presence


class Verb(IntEnum):
    """What a version did to its object, derived by ingest; stored as the number, never renumbered."""

    ADDED = 1
    MODIFIED = 2
    DELETED = 3
    INFERRED_DELETED = 4

    @property
    def text(self) -> str:
        """The word in JSON and in metric labels."""
        return ("", "added", "modified", "deleted", "inferredDeleted")[self]


class ObjectKey(NamedTuple):
    """What names an object for ever: its kind (`Kind` or `Kind.group`) and its uid."""

    kind: str
    uid: str


class Version(NamedTuple):
    """The order of an object's history; tuples compare in just that order."""

    epoch: int
    resource_version: int
    gone: bool


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    Base of what is made for each change, and kept by the ten thousand; carries nothing itself.

    A frozen dataclass costs a call for each of its fields, and each of the garbage collector's rounds.
    """


class Head(Row, frozen=True):
    """
    The highest version of an object that the journal holds.

    `id` is the journal's own small number for the object, `seq` the head change's, `depth` how many patches lie
    between it and the last key version.
    """

    id: int
    key: ObjectKey
    namespace: str
    name: str
    node: str
    version: Version
    seq: int
    depth: int
    observed_at: int


class ChangeRow(Row, frozen=True):
    """
    One stored version.

    `patch` is the difference to the change `base` as JSON (see store/patches.py), None where there is no version below.
    `body` is the whole object as JSON, of key versions only. `actor` is JSON or None. `after` is the start of an
    inferred delete's interval (its end is `observed_at`). A row without `base` has a body.
    """

    seq: int
    object_id: int
    version: Version
    verb: Verb
    observed_at: int
    committed_at: int
    late: bool
    listed: bool
    generation: int
    base: int | None
    patch: bytes | None
    body: bytes | None
    actor: bytes | None
    after: int | None


class Transition(NamedTuple):
    """What a change made of its object, JSON; `before` is None for a version that none lay below."""

    before: bytes | None
    after: bytes


@dataclass(slots=True, kw_only=True, frozen=True)
class OccurrenceRow:
    """One stored state of a Kubernetes Event; `added` is how many times it happened since the state before."""

    seq: int
    epoch: int
    added: int
    committed_at: int
    occurrence: Occurrence


@dataclass(slots=True, kw_only=True, frozen=True)
class GapRow:
    """A gap as it now stands; a later row with the same id replaces what is said, under its own seq."""

    seq: int
    committed_at: int
    gap: Gap


@dataclass(slots=True, kw_only=True, frozen=True)
class PresenceRow:
    """An agent came or went."""

    seq: int
    committed_at: int
    presence: Presence


class StreamRow(Row, frozen=True):
    """
    What the journal knows of a stream.

    `resource_version` and `epoch` are the resume point (0: none yet) and `complete_at` the time up to which the stream
    was seen whole, ns. `holder` is the spool id that holds the stream, without a break since `held_since`;
    `term` is the latest.
    """

    name: str
    kind: str
    resource_version: int
    epoch: int
    complete_at: int
    holder: str
    held_since: int
    term: int


@dataclass(slots=True, kw_only=True, frozen=True)
class SnapshotStage:
    """A Snapshot that has begun and not ended: what arrived of it so far, kept in the journal with its rows."""

    stream: str
    id: str
    resource_version: int
    consistent: bool
    uids: frozenset[str] = frozenset()


class Horizon(NamedTuple):
    """Up to where retention has deleted, by seq and by the time of that commit (ns); zeros when it never did."""

    seq: int = 0
    at: int = 0


NEVER_FORGOT = Horizon()


@dataclass(slots=True, kw_only=True, frozen=True)
class DoubtRow:
    """
    An object that no stream holds any more while nobody has told what became of it (watching rule 23).

    A head at or above `settled_by` settles it, whoever reports it. `resource_version` is what its delete would carry:
    its own when a watch told that it left (`after` is 0), the last known one when a list did not hold it; then it
    vanished after `after`, ns. `since` is when the doubt was committed, ns.
    """

    key: ObjectKey
    namespace: str
    name: str
    resource_version: int
    after: int
    settled_by: Version
    since: int


class CounterKey(NamedTuple):
    """One series of a counter that lives in the journal: the family without `kubescribe_`, and its label values."""

    family: str
    labels: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Plan:
    """
    One transaction.

    `heads` holds every object that is new or has a new head; `changes` may name objects of `heads` or older ones.
    `stages` maps a stream to its running Snapshot, None when it ended; `staged` are the uids that arrived with this
    transaction. `doubts` maps an object to what is in doubt about it, None when that is settled. `retired` are streams
    to forget with their terms and stages: those of nodes that are no more. `forgotten_spools` are known no more,
    nor are `forgotten_counters`, but where `counters` begins them anew.
    `epoch` and `cluster_uid` are given when they change. `epochs_since` has the time (ns) of the last sign of the
    history before each new epoch: the store was restored after it.
    """

    heads: dict[int, Head] = field(default_factory=dict)
    changes: list[ChangeRow] = field(default_factory=list)
    occurrences: list[OccurrenceRow] = field(default_factory=list)
    gaps: list[GapRow] = field(default_factory=list)
    presences: list[PresenceRow] = field(default_factory=list)
    streams: dict[str, StreamRow] = field(default_factory=dict)
    terms: dict[tuple[str, int], int] = field(default_factory=dict)
    spools: dict[str, int] = field(default_factory=dict)
    forgotten_spools: list[str] = field(default_factory=list)
    forgotten_counters: list[CounterKey] = field(default_factory=list)
    stages: dict[str, SnapshotStage | None] = field(default_factory=dict)
    staged: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    doubts: dict[ObjectKey, DoubtRow | None] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    epoch: int | None = None
    epochs_since: dict[int, int] = field(default_factory=dict)
    cluster_uid: str | None = None
    cluster: str | None = None


@dataclass(slots=True, kw_only=True, frozen=True)
class JournalState:
    """What ingest needs to know when a journal was opened, by default a new one; small, whatever the journal's size."""

    journal_id: str
    redaction_key: bytes
    cluster_uid: str = ""
    cluster: str = ""
    epoch: int = 1
    epochs_since: dict[int, int] = field(default_factory=dict)
    last_seq: int = 0
    last_object_id: int = 0
    streams: dict[str, StreamRow] = field(default_factory=dict)
    terms: dict[tuple[str, int], int] = field(default_factory=dict)
    spools: dict[str, int] = field(default_factory=dict)
    stages: dict[str, SnapshotStage] = field(default_factory=dict)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    open_gaps: dict[str, Gap] = field(default_factory=dict)
    present: dict[str, Presence] = field(default_factory=dict)
    doubts: dict[ObjectKey, DoubtRow] = field(default_factory=dict)
    went: dict[str, int] = field(default_factory=dict)
    """The agents that are away as far as the journal remembers, and since when, ns."""
    last_committed_at: int = 0


class Facets(Row, frozen=True):
    """What a filter may ask of a record; the same words as the parameters of `GET changes`."""

    namespace: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    manager: str = ""
    observed_at: int = 0


class Published(Row, frozen=True):
    """A committed record on its way to the outlets: encoded once, as it is served everywhere."""

    seq: int
    topic: str
    committed_at: int
    facets: Facets
    json: bytes


def is_among(namespace: str, asked: str) -> bool:
    """Tell whether *namespace* is what a query's `namespace` asks for: one name, or several separated by commas."""
    return namespace == asked or ("," in asked and namespace in asked.split(","))


@dataclass(slots=True, kw_only=True, frozen=True)
class RecordQuery:
    """
    The parameters of `GET changes` and of its kin.

    `start` (`from` in the API) and `after` are exclusive, `to` inclusive; the times are of `observedAt`, ns. `after` is
    a seq: records above it in ascending order, below it in descending order. None and "" mean: any; `namespace` may be
    several, separated by commas. With `without_lines` gaps are left out that are about lines of containers only.
    """

    start: int | None = None
    to: int | None = None
    after: int | None = None
    namespace: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    manager: str = ""
    reason: str = ""
    q: str = ""
    limit: int = 100
    ascending: bool = False
    without_lines: bool = False


@dataclass(slots=True, kw_only=True, frozen=True)
class Stretch:
    """
    A part of a replay: (seq, JSON) in the order of seq, as the journal was at one moment.

    `last` is the `after` of the next part, None when there was nothing more. Where the horizon lies above the `after`
    of the question, records between the two may be missing here: retention was faster.
    """

    rows: list[tuple[int, bytes]]
    last: int | None
    horizon: Horizon


@dataclass(slots=True, kw_only=True, frozen=True)
class ObjectQuery:
    """The parameters of `GET objects`; `at` None is now, `after` the object id where the page before ended."""

    at: int | None = None
    namespace: str = ""
    kind: str = ""
    name: str = ""
    q: str = ""
    include_deleted: bool = False
    include_body: bool = False
    after: int = 0
    limit: int = 100


@dataclass(slots=True, kw_only=True, frozen=True)
class Page:
    """
    A page of finished JSON objects; `last` is the `after` of the next page, None when this one is the last.

    `horizon` is that of the moment in which it was read. `since` tells of a history when its object was first seen, ns.
    """

    items: list[bytes]
    last: int | None
    horizon: Horizon = NEVER_FORGOT
    since: int = 0
