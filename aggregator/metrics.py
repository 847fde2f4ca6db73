"""
The aggregator's metrics about itself, one class for each part, built from a registry that is handed in.

The families about the cluster are in outlets/gauges.py, since they come from the journal. Label values are from closed
sets.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds: an fsync on a laptop's disk takes ~1 ms, on a busy EBS volume 10 to 50."""


class FeedMetrics:
    """The feed: who listens, and what was done to those who could not follow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.clients = Gauge("kubescribe_feed_clients", "Connections of the feed.", registry=registry)
        self.dropped = Counter(
            "kubescribe_feed_dropped",
            "Feed connections ended or refused by the aggregator, by cause.",
            ["cause"],
            registry=registry,
        )
        for cause in ("stuck", "silent", "too_many_clients", "bad_messages"):
            self.dropped.labels(cause)
        self.dropped_lines = Counter(
            "kubescribe_feed_dropped_lines",
            "Lines of logs that a client was too slow for, and was told of.",
            registry=registry,
        )
        self.fell_behind = Counter(
            "kubescribe_feed_fell_behind",
            "Times that a subscription was too slow for the live feed and went back to replay.",
            registry=registry,
        )


LINK_ERRORS = (
    *("protocol", "cluster", "unauthorized", "malformed", "tooLarge", "outOfOrder", "superseded", "stopping"),
    "lost",
)
"""The codes of `kubescribe.wire.link.Refused`, and a connection that ended without a word."""


class LinkMetrics:
    """The link to the agents, by the codes of `LINK_ERRORS`: each is there at 0, so that its first increase shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.errors = Counter(
            "kubescribe_link_errors", "Conversations with agents that were ended, by code.", ["code"], registry=registry
        )
        for code in LINK_ERRORS:
            self.errors.labels(code)
        self.connected = Gauge("kubescribe_link_connections", "Agents connected now.", registry=registry)
        self.received_bytes = Counter(
            "kubescribe_link_received_bytes", "Bytes of batches received, compressed.", registry=registry
        )


INGEST_OUTCOMES = (
    "duplicate",
    "late",
    "churn",
    "malformed",
    "delete_of_unknown",
    "batch_repeated",
    "snapshot_of_no_holder",
    "snapshot_below_resume_point",
    "snapshot_void",
)
"""What ingest decides about a record besides storing it; each has its comment where it is counted."""


class IngestMetrics:
    """Ingest: what was decided besides storing, and how commits go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "kubescribe_ingest_outcomes",
            "Records, batches and Snapshots that were not simply stored, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in INGEST_OUTCOMES:
            self.outcomes.labels(outcome)
        self.commits = Counter(
            "kubescribe_ingest_commits", "Transactions, by result (ok, failed).", ["result"], registry=registry
        )
        for result in ("ok", "failed"):
            self.commits.labels(result)
        self.commit_seconds = Histogram(
            "kubescribe_ingest_commit_seconds",
            "Time of a committed transaction, from its first record decided to the sync's end.",
            buckets=COMMIT_BUCKETS,
            registry=registry,
        )


class JournalMetrics:
    """The journal: what retention does to it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pruned = Counter("kubescribe_journal_pruned_records", "Records that retention deleted.", registry=registry)


class LoopMetrics:
    """The event loop: how often, and how long, it answered nobody."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stalls = Counter(
            "kubescribe_loop_stalls", "Times that the event loop was held for more than 20 ms.", registry=registry
        )
        self.stalled_seconds = Counter(
            "kubescribe_loop_stalled_seconds", "How long it was held in these, together.", registry=registry
        )

    def stalled(self, seconds: float) -> None:
        """Count one stall."""
        self.stalls.inc()
        self.stalled_seconds.inc(seconds)


class AggregatorMetrics:
    """All of them, on one registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.feed = FeedMetrics(registry)
        self.link = LinkMetrics(registry)
        self.ingest = IngestMetrics(registry)
        self.journal = JournalMetrics(registry)
        self.loop = LoopMetrics(registry)
