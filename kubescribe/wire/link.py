"""
The messages of the link: what agent and aggregator say to each other on `/ingest/v1`.

One websocket binary frame is one message, MessagePack, tagged on `type`. The first message of an agent is `Hello`; the
answer is `Welcome` or `Refused`. Then the agent claims its streams and sends its spool: batches numbered `n` = 1, 2,
3 … for each spool id, never reused, resent byte for byte until acknowledged. `Ack` comes after the commit and covers
every batch up to its `n`. Everything that must not wait behind a replay (reports, requests, replies) travels between
the batches on the second lane, limited by the credit that the receiver granted.
"""

from typing import Literal

import msgspec

from kubescribe.wire.records import Integer, Presence, Value
from kubescribe.wire.usage import NodeUsage, PodUsage

PROTOCOL_VERSION = 1
"""Raised when an old reader could misread a new writer; a field with a default does not raise it."""

MAX_MESSAGE_BYTES = 8 * 2**20
"""The largest frame on the link. A batch stays below 1 MiB unless one record is larger; etcd holds at most ~1.5 MiB."""

MAX_BATCH_BYTES = 64 * 2**20
"""What a batch may decompress to."""


class Message(
    msgspec.Struct, tag_field="type", tag=True, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False
):
    """Base of the messages."""


class Hello(Message, frozen=True, kw_only=True):
    """
    The agent introduces itself. `instance` is random for each process, `spool_id` for each spool folder.

    `former_spool_ids` are those that the folder had before its numbering began anew, the last ones: it holds the
    streams that they held, without a break.
    """

    protocol: int
    agent: str
    scope: str
    version: str
    instance: str
    spool_id: str
    cluster_uid: str
    cluster: str = ""
    node: str = ""
    former_spool_ids: tuple[str, ...] = ()


class Welcome(Message, frozen=True, kw_only=True):
    """
    The aggregator accepts the agent.

    `last_n` is the last committed batch of this spool, 0 if none. The agent keeps at most `window_batches` and
    `window_bytes` unacknowledged. `redaction_key` is the journal's secret for keyed hashes. `zones` are those of the
    nodes that the journal knows and this agent tells of, by name: lines of theirs carry it. Only where `takes_usage` is
    set may the agent send Usage: an older aggregator would end the conversation at it. Only once `takes_line_counts` is
    set may it spool LineCounts.
    """

    protocol: int
    journal_id: str
    epoch: int
    redaction_key: bytes
    last_n: int
    window_batches: int
    window_bytes: int
    credit: int
    heartbeat_seconds: float
    server_time: int
    zones: dict[str, str] = msgspec.field(default_factory=dict)
    takes_usage: bool = False
    takes_line_counts: bool = False


class StreamClaim(Value, frozen=True, kw_only=True):
    """A stream that the agent wants to hold; `kind` is the kind of its objects."""

    name: str
    kind: str


class Claim(Message, frozen=True, kw_only=True):
    """The agent claims streams; each claim raises their term."""

    streams: tuple[StreamClaim, ...]


class Grant(Value, frozen=True, kw_only=True):
    """
    One claimed stream: its new term, the journal's resume point and the journal's epoch.

    `snapshot` orders a Snapshot before anything else (the journal knows nothing, or the stream is of an older epoch, or
    an earlier Snapshot could not be used). `complete_at` is until when the journal has the stream whole, nanoseconds:
    an agent that does not know it itself begins its Gaps there.
    """

    name: str
    term: int
    epoch: int
    resource_version: int
    snapshot: bool = False
    complete_at: int = 0


class Granted(Message, frozen=True, kw_only=True):
    """The answer to a Claim."""

    streams: tuple[Grant, ...]


class Relist(Message, frozen=True, kw_only=True):
    """The aggregator asks for Snapshots: `epoch` is the journal's epoch now, `reason` why."""

    epoch: int
    streams: tuple[str, ...]
    reason: str


class Adopt(Message, frozen=True, kw_only=True):
    """
    The aggregator tells the cluster agent which streams of nodes it is to hold besides its own: all of them, each time.

    They are those whose own agent is away, or that never had one. The agent claims what is new in the list, and lets go
    of what it had adopted and is not in it any more.
    """

    streams: tuple[StreamClaim, ...]


class Doubt(Value, frozen=True, kw_only=True):
    """
    An object that is in no stream any more, and of which nobody has told what became of it (watching rule 23).

    It left a filtered watch with `resource_version`; or, with `after`, a list did not hold it: then `resource_version`
    is the last known one, and it vanished after that time, nanoseconds.
    """

    kind: str
    name: str
    uid: str
    resource_version: Integer
    namespace: str = ""
    after: Integer = 0


class Settle(Value, frozen=True, kw_only=True):
    """
    The arguments of the request `settle`: ask the API server for each of the objects.

    What is there is recorded as it is now, what is gone as deleted; the answer's last part comes when all that lies in
    the spool. An object that could not be asked for stays in doubt.
    """

    doubts: tuple[Doubt, ...]


SETTLE = "settle"
"""The verb of that request."""

MAX_DOUBTS = 200
"""In one Settle: so many GETs take a few seconds of the API server's time."""

ZONES = "zones"
"""
The verb of a request that tells zones which the Welcome did not have, as it would have: a map of nodes to zones.

It is answered with nothing. An agent that does not know it answers with an error, and is told at the next Welcome.
"""


class LinePod(Value, frozen=True, kw_only=True):
    """A pod whose lines are wanted; `uid` is that of its files, which of a static pod is not the one in the API."""

    namespace: str
    name: str
    uid: str


class LineQuery(Value, frozen=True, kw_only=True):
    """
    The arguments of the request `lines`: lines of *pods* from the files of this node, in the order of their time.

    No `containers` means all of them. With `previous` only instances before the current one are read, as kubectl
    has it. Times are nanoseconds, `since` inclusive, `until` exclusive, 0 for open. `limit` is the most lines,
    the newest of those that match; with `follow` these are followed by what comes, until the asker closes. `grep` is a
    regular expression (RE2's subset of Python's syntax), `levels` are those of Line; "" counts as a level.
    """

    pods: tuple[LinePod, ...]
    containers: tuple[str, ...] = ()
    previous: bool = False
    since: Integer = 0
    until: Integer = 0
    limit: Integer = 1000
    grep: str = ""
    levels: tuple[str, ...] = ()
    follow: bool = False


class Line(Value, frozen=True, kw_only=True):
    """
    One line as people may read it: scrubbed, valid UTF-8, joined from its parts, at most 64 KiB.

    `pod` is the index of its pod in the query. `level` is one of trace, debug, info, warning, error, fatal, or "".
    """

    pod: Integer
    container: str
    at: Integer
    text: str
    restart: Integer = 0
    stream: str = "stdout"
    level: str = ""


class Lines(Value, frozen=True, kw_only=True):
    """
    One payload of the answer to `lines`.

    `missing` says in words what was wanted and is not there any more (rotated away, a container that left no file).
    `oldest`, in the first payload, is the time of the oldest line that there is of each pod, 0 for one without files.
    With `follow`, payloads from the first `live` one on are of what came since; `dropped` counts lines that came
    faster than the asker took them.
    """

    lines: tuple[Line, ...] = ()
    missing: tuple[str, ...] = ()
    oldest: tuple[Integer, ...] = ()
    live: bool = False
    dropped: Integer = 0


LINES = "lines"
"""The verb of that request."""

NO_EARLIER = "no files of an earlier instance"
"""What `missing` says behind a pod's name where `previous` was asked for and the node has only the current one."""

MAX_LINE_BYTES = 64 * 1024
"""Of one line's text."""

MAX_LINES_BYTES = 256 * 1024
"""Of the text in one payload; a reply never holds up the batches for longer than one of them does."""


CANCEL = "cancel"
"""
The verb of a request that ends the request of the same id, whose asker has gone.

Nothing answers it. An agent that does not know it answers with an error, which then nobody waits for.
"""


class Batch(Message, frozen=True, kw_only=True):
    """`count` records as `codec.encode_records` wrote them: zstd over a MessagePack array."""

    n: int
    count: int
    records: bytes


class Ack(Message, frozen=True, kw_only=True):
    """Every batch up to `n` is committed."""

    n: int


class Busy(Message, frozen=True, kw_only=True):
    """The journal cannot be written now (disk full, read-only): hold and resend after `retry_after_seconds`."""

    retry_after_seconds: float
    reason: str


class Report(Message, frozen=True, kw_only=True):
    """Second lane: the agent about itself."""

    presence: Presence


class Usage(Message, frozen=True, kw_only=True):
    """
    Second lane: what nodes and pods use now. No record, nothing is acknowledged, the newest word counts.

    From `kubelet` all of it is of `node`; from `metrics` (metrics.k8s.io) `node` is "", and pods come without a uid.
    """

    source: Literal["kubelet", "metrics"]
    node: str = ""
    nodes: tuple[NodeUsage, ...] = ()
    pods: tuple[PodUsage, ...] = ()


class Request(Message, frozen=True, kw_only=True):
    """Second lane, aggregator to agent: do `verb`; `arguments` is MessagePack that the verb defines."""

    id: int
    verb: str
    arguments: bytes = b""
    deadline_seconds: float = 10.0


class Reply(Message, frozen=True, kw_only=True):
    """Second lane, agent to aggregator: a part of the answer to request `id`; `last` ends it, `error` fails it."""

    id: int
    last: bool = True
    payload: bytes = b""
    error: str = ""


class Credit(Message, frozen=True, kw_only=True):
    """Second lane: the receiver allows `messages` more Reply messages."""

    messages: int


class Refused(Message, frozen=True, kw_only=True):
    """The aggregator ends the conversation and says why; `retry_after_seconds` None means: not without a change."""

    code: Literal[
        "protocol", "cluster", "unauthorized", "malformed", "tooLarge", "outOfOrder", "superseded", "stopping"
    ]
    message: str
    retry_after_seconds: float | None = None


FromAgent = Hello | Claim | Batch | Report | Usage | Reply
FromAggregator = Welcome | Granted | Relist | Adopt | Ack | Busy | Request | Credit | Refused
