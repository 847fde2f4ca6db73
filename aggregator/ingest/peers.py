"""
Who opened a link, as its credential proves it, and what it may say that it is.

Not the credentials: static tokens are web/credentials.py's, those of service accounts reviews.py's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from kubescribe.wire.link import Hello, Usage
from kubescribe.wire.records import AnyRecord, Change, Gap, LineCounts
from kubescribe.wire.streams import stream_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """
    The holder of a good credential.

    `scope` is the only one that it may have, "" for any; `node` the only node that a node agent of it may be of.
    """

    name: str
    scope: str = ""
    node: str = ""

    def complaint(self, hello: Hello) -> str:
        """Return why who says *hello* cannot be this peer, "" when it can."""
        if not self.scope:
            return ""
        if hello.scope != self.scope:
            return f"{self.name} may be an agent of scope {self.scope}, not {hello.scope[:32]!r}"
        if self.scope == "node" and hello.node != self.node:
            return f"the token of {self.name} is bound to the node {self.node!r}, not {hello.node[:64]!r}"
        if hello.agent != _name_of(hello):  # or it could supersede another's connection
            return f"an agent of scope {hello.scope[:32]!r} cannot be called {hello.agent[:64]!r}"
        return ""

    @property
    def bound_node(self) -> str:
        """The node that everything it reports must be of, "" when its credential binds it to none."""
        return self.node if self.scope == "node" else ""


def foreign_in(records: Iterable[AnyRecord], node: str) -> str:
    """
    Return what of *records* the agent of *node* cannot know, "" when there is nothing.

    It sees the pods of its node, and its own absences and losses. A token that was taken from one node must not write
    the history of another (design section 11).
    """
    own = stream_name("pods", node)
    gaps = (own, f"agent/node/{node}")
    for record in records:
        if isinstance(record, Gap):
            if record.stream not in gaps and not record.stream.startswith(LINES):
                return f"a gap of {record.stream[:64]!r}"
        elif isinstance(record, LineCounts):
            continue  # of files on its node, which nobody else can know
        elif getattr(record, "stream", "") != own:
            return f"{type(record).__name__} of {getattr(record, 'stream', '')[:64]!r}"
        elif isinstance(record, Change) and (record.kind != "Pod" or (record.node != node and not record.gone)):
            return f"{record.kind[:64]} {record.namespace[:64]}/{record.name[:64]} of the node {record.node[:64]!r}"
    return ""


def complaint_about_usage(usage: Usage, *, scope: str, node: str) -> str:
    """Return why an agent of *scope*, of *node* if that is `node`, cannot have read *usage*, "" when it can."""
    if scope != "node":
        return "" if usage.source == "metrics" and not usage.node else f"an agent of scope {scope} asks no kubelet"
    if usage.source != "kubelet" or usage.node != node or any(told.name != node for told in usage.nodes):
        return f"the agent of the node {node[:64]!r} asks its own kubelet and nobody else"
    return ""


LINES = "logs/"
"""What the streams begin with in which lines of containers were lost."""


def _name_of(hello: Hello) -> str:
    if hello.scope == "node":
        return f"node/{hello.node}"
    if hello.scope == "cluster" and hello.agent.startswith("cluster/"):
        return hello.agent
    return hello.scope


class Authenticator(Protocol):
    """Tells whose a token is."""

    async def peer_of(self, token: str) -> Peer | None:
        """Return who presents *token* ("" for none), None for nobody that is known. Raises PeersUnknown."""
        ...


class Anybody:
    """For a listener that only this machine reaches: everybody is let in."""

    async def peer_of(self, token: str) -> Peer | None:  # noqa: ARG002 - an Authenticator
        """Return a peer that may be any agent."""
        return Peer(name="anybody")


class OneOf:
    """Several ways to prove who one is; the first that knows the token decides."""

    def __init__(self, *ways: Authenticator) -> None:
        self._ways = ways

    async def peer_of(self, token: str) -> Peer | None:
        """Return who presents *token*, None when no way knows it. Raises PeersUnknown."""
        for way in self._ways:
            if (peer := await way.peer_of(token)) is not None:
                return peer
        return None
