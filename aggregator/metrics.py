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
        self.fell_behind = Counter(
            "kubescribe_feed_fell_behind",
            "Times that a subscription was too slow for the live feed and went back to replay.",
            registry=registry,
        )


class LinkMetrics:
    """The link to the agents; `code` is one of `kubescribe.wire.link.Refused.code`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.errors = Counter(
            "kubescribe_link_errors", "Conversations with agents that were ended, by code.", ["code"], registry=registry
        )
        self.connected = Gauge("kubescribe_link_connections", "Agents connected now.", registry=registry)
        self.received_bytes = Counter(
            "kubescribe_link_received_bytes", "Bytes of batches received, compressed.", registry=registry
        )


class IngestMetrics:
    """Ingest: what came twice or late, and how commits go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "kubescribe_ingest_records", "Records decided, repeats included, by type.", ["type"], registry=registry
        )
        self.duplicates = Counter(
            "kubescribe_ingest_duplicates",
            "Records that the journal held already, by type.",
            ["type"],
            registry=registry,
        )
        self.late = Counter(
            "kubescribe_ingest_late", "Changes that arrived after a newer version of their object.", registry=registry
        )
        self.commits = Counter(
            "kubescribe_ingest_commits", "Transactions, by result (ok, failed).", ["result"], registry=registry
        )
        self.commit_seconds = Histogram(
            "kubescribe_ingest_commit_seconds",
            "Time of a committed transaction.",
            buckets=COMMIT_BUCKETS,
            registry=registry,
        )


class AggregatorMetrics:
    """All of them, on one registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.feed = FeedMetrics(registry)
        self.link = LinkMetrics(registry)
        self.ingest = IngestMetrics(registry)
