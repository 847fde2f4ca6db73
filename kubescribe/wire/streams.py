"""
The names of streams and what they select (design section 2).

    deployments                     every object of the resource
    applications.argoproj.io        outside the built-in groups the group is part of the name
    pods/node=ip-10-0-1-7           pods of one node
    pods/unscheduled                pods without a node
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selector:
    """What a stream holds: objects of one resource; `node` None means all, "" those without a node."""

    resource: str
    node: str | None = None

    def matches(self, node: str) -> bool:
        """Tell whether an object whose node is *node* ("" for none) belongs to the stream."""
        return self.node is None or self.node == node


def stream_name(resource: str, node: str | None = None) -> str:
    """Return the name of the stream of *resource*, of one node when *node* is given, unscheduled when it is ""."""
    if node is None:
        return resource
    return f"{resource}/node={node}" if node else f"{resource}/unscheduled"


def selector_of(stream: str) -> Selector:
    """Return what *stream* selects. Raises ValueError for a name that `stream_name` cannot have made."""
    resource, slash, rest = stream.partition("/")
    if not resource:
        raise ValueError(f"stream {stream[:64]!r} names no resource")
    if not slash:
        return Selector(resource)
    if rest == "unscheduled":
        return Selector(resource, "")
    key, _, node = rest.partition("=")
    if key != "node" or not node:
        raise ValueError(f"stream {stream[:64]!r}: expected /node=NAME or /unscheduled after the resource")
    return Selector(resource, node)
