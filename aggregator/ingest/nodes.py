"""
Nodes in a transaction: where the pods of a node that comes begin, and that the pods of one that goes are not forgotten.

A node that joins has no pods yet. So its stream may begin at the version with which the Node was created: whoever
claims it first watches from there and misses nothing, without a list, however long after the node its agent comes. Only
for a Node that a watch told of at once, and never above the resume point of the pods without a node, in which each of
its pods was until it was bound: versions of different resources need not be of one etcd, and where they are not, the
API server answers that the version is too old, and the stream is listed.

A pod can be bound to a node that was retired a moment ago, or that never was: such a stray makes its node known.
"""

from aggregator.ingest.ledger import Draft
from aggregator.ingest.rows import Known
from aggregator.records import Head, StreamRow
from kubescribe.wire.streams import stream_name

NODE = "Node"
POD = "Pod"
UNSCHEDULED = stream_name("pods", "")


def pods_of(node: str) -> str:
    """Return the name of the stream of a node's pods."""
    return stream_name("pods", node)


def follow_nodes(draft: Draft, known: Known) -> None:
    """Note each Node that this transaction moved; one that came or went has a stream of its pods from then on."""
    unscheduled = draft.stream(UNSCHEDULED)
    for head, before in known.moved():
        if head.key.kind == POD:
            # Who watches all pods in one stream needs none for each node.
            if unscheduled is not None:
                _follow_pod(draft, head, before)
            continue
        if head.key.kind != NODE:
            continue
        draft.nodes.append(head)
        if unscheduled is None or _has_stream(draft, head.name):
            continue
        if head.version.gone:
            _seed(draft, head, head.name, resource_version=0)
        elif before is None:
            version, seq = min(known.added[head.id])
            if version.epoch == unscheduled.epoch and not _is_listed(draft, seq):
                first = min(version.resource_version, unscheduled.resource_version)
                _seed(draft, head, head.name, resource_version=first)


def _is_listed(draft: Draft, seq: int) -> bool:
    return any(row.listed for row in draft.plan.changes if row.seq == seq)


def _follow_pod(draft: Draft, head: Head, before: Head | None) -> None:
    """Give the node of a pod that came to it a stream: it may be retired, or never have been; somebody must look."""
    is_new_there = before is None or before.node != head.node
    if is_new_there and head.node and not head.version.gone and not _has_stream(draft, head.node):
        _seed(draft, head, head.node, resource_version=0)
        draft.strays.append(head.node)


def _has_stream(draft: Draft, node: str) -> bool:
    name = pods_of(node)
    return draft.stream(name) is not None and name not in draft.plan.retired


def _seed(draft: Draft, head: Head, node: str, *, resource_version: int) -> None:
    _add_stream(
        draft,
        node=node,
        epoch=head.version.epoch,
        resource_version=resource_version,
        complete_at=head.observed_at if resource_version else 0,
    )


def look_again(draft: Draft, *, node: str) -> None:
    """Give a node of which a pod lives a stream, if it has none: one that an agent holds by now stays as it is."""
    if not _has_stream(draft, node):
        _add_stream(draft, node=node, epoch=draft.epoch)


def _add_stream(draft: Draft, *, node: str, epoch: int, resource_version: int = 0, complete_at: int = 0) -> None:
    """Add the stream of a node's pods, held by nobody: to be listed, unless it begins at *resource_version*."""
    name = pods_of(node)
    draft.plan.retired.discard(name)
    draft.plan.streams[name] = StreamRow(
        name=name,
        kind="Pod",
        resource_version=resource_version,
        epoch=epoch,
        complete_at=complete_at,
        holder="",
        held_since=0,
        term=0,
    )
