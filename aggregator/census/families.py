"""
The families about the cluster: their names, labels and limits, in one table that code and docs/metrics.md share.

Label values are from closed sets, or names of what is in the cluster. A family has at most `max_series` label sets;
what comes later is counted under the label value `other`.
"""

from collections.abc import Mapping
from typing import NamedTuple

MAX_SERIES = 2_000
OTHER = "other"

WORKLOAD = ("namespace", "workload_kind", "workload")


class Family(NamedTuple):
    """What a family says, without the prefix `kubescribe_` in its name."""

    text: str
    labels: tuple[str, ...]
    max_series: int = MAX_SERIES


COUNTERS: Mapping[str, Family] = {
    "changes_total": Family("Versions of objects that the journal took, by kind and verb.", ("kind", "verb")),
    "occurrences_total": Family(
        "Kubernetes Events that happened, repetitions included.",
        ("namespace", "reason", "type"),
        10_000,
    ),
    "gaps_total": Family("Times in which something may have gone unseen, by cause.", ("cause",), 100),
    "container_terminations_total": Family(
        "Instances of containers that ended, by reason; Unknown: that nobody saw, or that has none.",
        (*WORKLOAD, "container", "reason"),
        40_000,
    ),
    "container_restarts_total": Family(
        "Times that a container was started again in its pod.", (*WORKLOAD, "container"), 20_000
    ),
    "rollouts_total": Family(
        "Rollouts that were completed, failed (by their progress deadline) or were superseded by the next one.",
        (*WORKLOAD, "outcome"),
        20_000,
    ),
    "log_lines_total": Family(
        "Lines of containers that agents have dealt with (profile standalone), by level; unknown: that say none.",
        ("namespace", "workload", "level"),
        40_000,
    ),
    "series_folded_total": Family("Counts that went into the label value `other`, by family.", ("family",), 100),
}
"""They live in the journal and survive restarts and retention: edges are counted with the version that shows them."""

GAP_CAUSES = (
    *("agent_absent", "node_unreported", "malformed", "record_too_large", "unreadable_batch"),
    *("watch_disconnected", "expired", "not_welcomed", "oversized", "relisted", "store_restored"),
    *("listing_interrupted", "undecodable", "spool_full", "spool_damaged", "journal_lost"),
    *("logRotated", "logDeleted", "logTruncated", "logUnreadable", "logRefused"),
)
"""What agents and ingest tell; these series begin at 0."""

BLIND = "watch_blind_milliseconds"
"""Not a family of its own: the closed part of `watch_blind_seconds_total`, by stream."""

MARKS = "marks"
"""Not a family: how far was counted of an object that a restored store set back; see ingest/edges.py."""

GAUGES: Mapping[str, Family] = {
    "pods": Family("Pods that exist, by phase.", ("namespace", "phase"), 10_000),
    "unschedulable_pods": Family("Pods for which the scheduler finds no node.", ("namespace",)),
    "workload_replicas": Family(
        "Replicas of Deployments, StatefulSets and DaemonSets, by state: desired, ready, available, updated.",
        (*WORKLOAD, "state"),
        40_000,
    ),
    "node_condition": Family(
        "Conditions of nodes: 1 true, 0 false, -1 unknown (as all are of a node that is silent).",
        ("node", "condition"),
        40_000,
    ),
    "node_info": Family(
        "Where a node stands and what it is, always 1; host: machine, or fargate and virtual, where no agent can be.",
        ("node", "zone", "instance_type", "capacity_type", "kubelet_version", "os", "host"),
        10_000,
    ),
    "node_allocatable": Family("What of a node pods may have.", ("node", "resource", "unit"), 20_000),
    "container_resource_requests": Family(
        "What containers of pods that have not ended request, without init containers, which are over before.",
        ("namespace", "pod", "container", "node", "resource", "unit"),
        200_000,
    ),
    "container_resource_limits": Family(
        "The limits of containers of pods that have not ended, without init containers.",
        ("namespace", "pod", "container", "node", "resource", "unit"),
        200_000,
    ),
}
"""What is so now, from the living objects."""
