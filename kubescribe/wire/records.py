"""
The records: what an agent reports and the journal keeps (design section 5).

Plain frozen values, tagged on `type`, camelCase on the wire. Times are integer nanoseconds since the Unix epoch, UTC.
resourceVersions are integers: etcd makes them so, and since KEP-5504 they are officially comparable within one
resource. Fields may be added with a default; a field is never renamed, retyped or removed (golden samples in
tests/data/wire).

Every record that comes from a watch names its `stream` and the `term` under which the agent held that stream; the
epoch of a version is ingest's to say, from (stream, term), never the agent's.
"""

from typing import Annotated, Literal

import msgspec

MAX_INTEGER = 2**62 - 1
"""Of a record: MessagePack and JSON carry more, SQLite holds 63 bits, and the difference of two must fit as well."""

Integer = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""Checked where records are decoded; nanoseconds of it reach from 1823 to 2116."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """Base of the values inside records; carries nothing itself. Subclasses inherit how they are encoded."""


class Record(
    msgspec.Struct, tag_field="type", tag=True, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False
):
    """Base of the tagged union; carries nothing itself."""


class Actor(Value, frozen=True, kw_only=True):
    """
    Who wrote a version, as far as the object itself tells: a field manager, never a person.

    `manager`, `operation`, `subresource` and `time` come from the managedFields entry that owns what changed. The
    rest is filled under GitOps from the objects of Argo CD, Flux or Helm.
    """

    manager: str
    operation: str = ""
    subresource: str = ""
    time: Integer | None = None
    app: str | None = None
    repo: str | None = None
    revision: str | None = None
    initiated_by: str | None = None


class Interval(Value, frozen=True, kw_only=True):
    """A span of time, nanoseconds, in which something happened at an unknown moment."""

    after: Integer
    before: Integer


class ObjectReference(Value, frozen=True, kw_only=True):
    """What an Event is about, as the Event says it."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class Change(Record, frozen=True, kw_only=True):
    """
    One version of one object.

    `kind` is `Kind`, or `Kind.group` outside the built-in groups. `body` is the object as JSON, redacted, without
    managedFields, resourceVersion and generation; of a delete it is the last state. `listed` marks an object of a list
    or of WatchList's synthetic events: these come in no order, so they never move a resume point
    (kubernetes-client/python#819). `inferred` marks a delete that nobody saw, with the time in which it happened; its
    resourceVersion is the last known one. `node` is a pod's spec.nodeName.
    """

    stream: str
    term: Integer
    kind: str
    name: str
    uid: str
    resource_version: Integer
    observed_at: Integer
    namespace: str = ""
    gone: bool = False
    listed: bool = False
    generation: Integer = 0
    node: str = ""
    actor: Actor | None = None
    inferred: Interval | None = None
    body: bytes = b""


class Snapshot(Record, frozen=True, kw_only=True):
    """
    What a stream held at `resource_version`, in phases: one begin, the Changes, parts with the uids, one end.

    `id` binds the phases together. `consistent` is true when the list was asked for without a resourceVersion, so that
    it cannot be older than what was seen before. `epoch` is the journal's epoch that the agent knew when it asked.
    `uids` and `versions` run in parallel, at most SNAPSHOT_PART of them in one part. `count` in the end is the number
    of uids in all parts: a Snapshot that lost a part on its way is void. Of Events a Snapshot has no uids: it frames
    the list, so that resume point and epoch follow the same rules as everywhere, and nothing is inferred.
    """

    stream: str
    term: Integer
    kind: str
    id: str
    phase: Literal["begin", "part", "end"]
    resource_version: Integer
    observed_at: Integer
    consistent: bool = False
    epoch: Integer = 0
    uids: tuple[str, ...] = ()
    versions: tuple[Integer, ...] = ()
    count: Integer = 0


class Departed(Record, frozen=True, kw_only=True):
    """An object left a filtered watch: it no longer matches, or it is gone; the watch cannot tell which."""

    stream: str
    term: Integer
    kind: str
    uid: str
    resource_version: Integer
    observed_at: Integer
    namespace: str = ""
    name: str = ""


class Progress(Record, frozen=True, kw_only=True):
    """A bookmark: the stream is complete up to `resource_version`. Gets no seq of its own."""

    stream: str
    term: Integer
    resource_version: Integer
    observed_at: Integer


class Occurrence(Record, frozen=True, kw_only=True):
    """
    A Kubernetes Event, as it stands at `resource_version`; `count` is cumulative, ingest computes what is new.

    `first_at` and `last_at` are the emitter's clock (watching rule 35). `gone` is set only for an Event that was
    deleted before its time to live: expiry is not news, a deletion is.
    """

    stream: str
    term: Integer
    uid: str
    name: str
    resource_version: Integer
    observed_at: Integer
    namespace: str = ""
    reason: str = ""
    event_type: str = ""
    message: str = ""
    action: str = ""
    count: Integer = 1
    first_at: Integer = 0
    last_at: Integer = 0
    regarding: ObjectReference = ObjectReference()
    reporter: str = ""
    reporter_instance: str = ""
    listed: bool = False
    gone: bool = False


class Gap(Record, frozen=True, kw_only=True):
    """
    A time in which something may have gone unseen.

    The same `id` comes again when more is known: an open gap is closed as recovered (everything arrived after all) or
    lost. `to` is None while open. `stream` is a stream's name, or `agent/NAME` for everything an agent reports.
    `count` and `bytes` are given where known.
    """

    id: str
    stream: str
    cause: str
    start: Integer = msgspec.field(name="from")
    to: Integer | None = None
    outcome: Literal["open", "recovered", "lost"] = "open"
    count: Integer | None = None
    bytes: Integer | None = None
    detail: str = ""


class StreamHealth(Value, frozen=True, kw_only=True):
    """
    How a watch does: `state` is live, listing, retrying, forbidden, notServed; `seen_at` its last sign of life.

    A cluster agent tells of its election in the same way, under the name `election`; its `detail` says who leads.
    """

    name: str
    state: str
    seen_at: Integer = 0
    resource_version: Integer = 0
    detail: str = ""


class Presence(Record, frozen=True, kw_only=True):
    """
    An agent came, went, or reports about itself.

    Only `came` and `went` enter the journal, written by ingest; reports travel on the second lane, kept in memory.
    """

    agent: str
    state: Literal["came", "went", "report"]
    observed_at: Integer
    node: str = ""
    scope: str = ""
    version: str = ""
    instance: str = ""
    profile: str = ""
    spool_bytes: Integer = 0
    spool_records: Integer = 0
    oldest_unsent_at: Integer | None = None
    dropped_records: Integer = 0
    api_requests: dict[str, Integer] = msgspec.field(default_factory=dict)
    streams: tuple[StreamHealth, ...] = ()


class LineCount(Value, frozen=True, kw_only=True):
    """How many lines of one level a workload wrote; `level` is that of `kubescribe.wire.link.Line`, "" for none."""

    namespace: str
    workload: str
    level: str = ""
    count: Integer = 0


class LineCounts(Record, frozen=True, kw_only=True):
    """
    Lines of containers that are dealt with for good since the record before: only what grew, at most MAX_LINE_COUNTS.

    `n` grows with each record of one `source` (the tailer's state on that node, random): ingest counts an `n` once,
    whatever is sent again. Sent only to an aggregator whose Welcome says `takes_line_counts`: an older one could not
    read the batch. Gets no seq of its own.
    """

    source: str
    n: Integer
    observed_at: Integer
    counts: tuple[LineCount, ...] = ()


MAX_LINE_COUNTS = 1000
"""In one record, which so stays below 1 MiB whatever the names; more go in the next one."""

LINE_COUNTS_STREAM = "logs/"
"""Under which the loss of a LineCounts is told: it is about lines, and makes no list of changes incomplete."""

SNAPSHOT_PART = 1000
"""Most uids in one part of a Snapshot; keeps a record under 64 KiB."""

AnyRecord = Change | Snapshot | Departed | Progress | Occurrence | Gap | Presence | LineCounts
"""What a batch may hold."""
