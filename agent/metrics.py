"""
What an agent exports about itself; nothing about the cluster, which is the aggregator's (design section 9).

The parts keep plain numbers; they are read when Prometheus asks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kubescribe.wire.records import StreamHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNumbers:
    """
    One look at the agent. Mappings are by label value: requests by `verb resource`, failures by HTTP status.

    `streams` counts streams by state, `counts` are the watcher's and the spool's counters by family name. `lists` and
    `unseen_seconds` are by stream: how often it was listed, and how long ago it was last known to be complete. `leader`
    is None for an agent that stands for no election, `usage_rounds` (by outcome) for one that reads no usage.
    """

    counts: Mapping[str, int]
    requests: Mapping[str, int]
    failures: Mapping[str, int]
    restarts: Mapping[str, int]
    blind_seconds: Mapping[str, float]
    lists: Mapping[str, int]
    unseen_seconds: Mapping[str, float]
    streams: Mapping[str, int]
    spool_bytes: int
    spool_limit_bytes: int
    spool_records: int
    link_connected: bool
    leader: bool | None = None
    leader_changes: int = 0
    usage_rounds: Mapping[str, int] | None = None
    usage_undecodable: int = 0


_HELP = {
    "watch_events": "Events received from watches.",
    "watch_bookmarks": "Bookmarks received.",
    "watch_bytes": "Bytes received from lists and watches.",
    "watch_listed": "Objects received in lists.",
    "watch_churn_dropped": "Versions that differed in nothing but heartbeats and managedFields.",
    "watch_oversized": "Lines that were too long to read.",
    "watch_undecodable": "Lines and objects that were not what the API promises.",
    "watch_bodies_truncated": "Objects that were too large to be kept whole.",
    "watch_inferred_deletes": "Deletes found by asking for objects that had not changed for long.",
    "watch_verified_objects": "Objects that were asked for because they had not changed for long.",
    "spool_dropped_records": "Records dropped because the spool was full.",
    "spool_write_failures": "Writes to the spool that failed.",
}


USUAL_FAILURES = ("0", "401", "403", "410", "429", "500", "503", "504")
"""Told as 0 before they come, or the first of each would be in no rate."""


class AgentCollector(Collector):
    """Turns numbers into families; *look* must be quick and safe from another thread."""

    def __init__(self, look: Callable[[], AgentNumbers]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        numbers = self._look()
        for name, text in _HELP.items():
            yield CounterMetricFamily(f"kubescribe_{name}", text, value=numbers.counts.get(name, 0))
        requests = CounterMetricFamily(
            "kubescribe_api_requests", "Requests to the API server.", labels=("verb", "resource")
        )
        for request, count in numbers.requests.items():
            verb, _, resource = request.partition(" ")
            requests.add_metric((verb, resource), count)
        yield requests
        yield _by(
            "kubescribe_api_failures",
            "Answers of the API server that were errors; 0: none.",
            "code",
            {**dict.fromkeys(USUAL_FAILURES, 0), **numbers.failures},
        )
        yield _by("kubescribe_watch_restarts", "Watches that ended, by cause.", "cause", numbers.restarts)
        yield _by(
            "kubescribe_agent_watch_blind_seconds",
            "Time in which a stream could not see.",
            "stream",
            numbers.blind_seconds,
        )
        yield _by(
            "kubescribe_watch_lists",
            "Lists of a stream that came to their end, the first one included.",
            "stream",
            numbers.lists,
        )
        unseen = GaugeMetricFamily(
            "kubescribe_watch_unseen_seconds",
            "How long ago a stream was last known to be complete (an event, a bookmark, a list, a watch's regular end);"
            " without those that lack a permission, or whose kind is not served.",
            labels=("stream",),
        )
        for stream, seconds in numbers.unseen_seconds.items():
            unseen.add_metric((stream,), seconds)
        yield unseen
        streams = GaugeMetricFamily("kubescribe_watch_streams", "Streams, by state.", labels=("state",))
        for state, count in numbers.streams.items():
            streams.add_metric((state,), count)
        yield streams
        yield GaugeMetricFamily("kubescribe_spool_bytes", "What the spool takes on disk.", value=numbers.spool_bytes)
        yield GaugeMetricFamily(
            "kubescribe_spool_limit_bytes",
            "What the spool may take on disk; at it, the oldest records are dropped.",
            value=numbers.spool_limit_bytes,
        )
        yield GaugeMetricFamily(
            "kubescribe_spool_records", "Records that are not acknowledged yet.", value=numbers.spool_records
        )
        yield GaugeMetricFamily(
            "kubescribe_link_connected", "1 while the aggregator is connected.", value=int(numbers.link_connected)
        )
        if numbers.usage_rounds is not None:
            yield _by(
                "kubescribe_usage_rounds",
                "Times that usage was asked for, by outcome.",
                "outcome",
                numbers.usage_rounds,
            )
            yield CounterMetricFamily(
                "kubescribe_usage_undecodable",
                "Parts of what the kubelet or metrics.k8s.io said that were not what they should be.",
                value=numbers.usage_undecodable,
            )
        if numbers.leader is not None:
            yield GaugeMetricFamily(
                "kubescribe_agent_leader", "1 while this agent is the one that works.", value=int(numbers.leader)
            )
            yield CounterMetricFamily(
                "kubescribe_agent_leader_transitions",
                "Times that this agent began or ceased to be the one that works.",
                value=numbers.leader_changes,
            )


def unseen_seconds(streams: Iterable[StreamHealth], started_at: int, now: int) -> dict[str, float]:
    """
    Return for how long each stream has not been known to be complete, counted from *started_at* if it never was.

    Without those that wait for somebody to grant or install something: no hurry helps there, and their state tells it.
    Times are ns, of one clock.
    """
    return {
        stream.name: max(0, now - (stream.seen_at or started_at)) / 10**9
        for stream in streams
        if stream.state not in {"forbidden", "notServed"}
    }


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in values.items():
        family.add_metric((value,), count)
    return family
