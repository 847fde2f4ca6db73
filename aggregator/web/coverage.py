"""The nodes as `GET agents` and `GET status` show them: how many are reported, and by name those that are not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aggregator.outlets.fleet import NodeStatus
from kubescribe.wire.times import to_rfc3339


def render_nodes(nodes: Sequence[NodeStatus]) -> dict[str, Any]:
    """
    Return the counts by state, and the nodes whose own agent is away, those first that nobody covers.

    A Node that is deleted is counted only while not all of its pods are known to be gone.
    """
    counts = Counter(node.state for node in nodes)
    away = sorted(
        (node for node in nodes if node.state != "reporting"), key=lambda node: (node.state != "unreported", node.since)
    )
    return {
        "total": len(nodes),
        "reporting": counts["reporting"],
        "adopted": counts["adopted"],
        "unreported": counts["unreported"],
        "notReporting": [
            {
                "node": node.node,
                "state": node.state,
                "since": to_rfc3339(node.since),
                "coveredBy": node.by or None,
                "deleted": node.is_gone,
            }
            for node in away
        ],
    }
