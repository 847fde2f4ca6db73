"""
Whom usage is asked of: the kubelet of this node on its own port, or metrics.k8s.io for a whole cluster.

The kubelet's `/stats/*` is authorized as `nodes/stats`, with or without KubeletFineGrainedAuthz (KEP-2862): its own
port needs no `nodes/proxy`, which would be the right to execute commands in every container. Answers are bounded in
size and time; whoever does not answer is asked again at the next turn, by one request at a time.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from agent.errors import NoAnswer
from agent.kube.session import ApiSession, open_session, read_some
from agent.usage.metricsapi import NODES, PODS, read_nodes, read_pods
from agent.usage.summaries import read_summary
from kubescribe.kube.access import Access, unverified
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import MAX_PODS, PodUsage

MAX_SUMMARY_BYTES = 16 * 2**20
"""A node of 250 pods with four containers each says 2 MB."""

MAX_LIST_BYTES = 64 * 2**20
"""Of metrics.k8s.io: 150,000 pods with two containers."""


class Source(Protocol):
    """Who is asked."""

    name: str
    undecodable: int
    """Parts of answers that were not what they should be, since the process began."""

    async def look(self) -> Sequence[Usage] | None:
        """Return what is used now, None when there is nothing to ask. Raises RequestFailed or Undecodable."""
        ...


class KubeletSource:
    """The kubelet of *node*, through a session of its own."""

    name = "kubelet"

    def __init__(self, session: ApiSession, node: str) -> None:
        self._session = session
        self._node = node
        self.undecodable = 0

    async def look(self) -> Sequence[Usage]:
        """Return what the node and its pods use."""
        body = await _bounded(self._session, "/stats/summary", resource="nodes/stats", max_bytes=MAX_SUMMARY_BYTES)
        summary = read_summary(body, self._node)
        self.undecodable += summary.undecodable
        return list(_messages(Usage(source="kubelet", node=self._node, nodes=summary.nodes), summary.pods))


class MetricsSource:
    """metrics.k8s.io, asked while *is_needed* says so: a cluster whose kubelets are all asked needs no second word."""

    name = "metrics"

    def __init__(self, session: ApiSession, is_needed: Callable[[], bool]) -> None:
        self._session = session
        self._is_needed = is_needed
        self.undecodable = 0

    async def look(self) -> Sequence[Usage] | None:
        """Return what every node and pod uses."""
        if not self._is_needed():
            return None
        session = self._session
        nodes, bad_nodes = read_nodes(
            await _bounded(session, NODES, resource="nodes.metrics.k8s.io", max_bytes=MAX_LIST_BYTES)
        )
        pods, bad_pods = read_pods(
            await _bounded(session, PODS, resource="pods.metrics.k8s.io", max_bytes=MAX_LIST_BYTES)
        )
        self.undecodable += bad_nodes + bad_pods
        return list(_messages(Usage(source="metrics", nodes=tuple(nodes)), pods))


@asynccontextmanager
async def kubelet_source(
    access: Access, node: str, *, url: str, verifies: bool, version: str
) -> AsyncIterator[KubeletSource]:
    """Yield the source for the kubelet at *url*, with the credentials of *access*; the block owns its connections."""
    tls = access.tls if verifies or not url.startswith("https:") else unverified()
    own = replace(access, base_url=url, tls=tls if url.startswith("https:") else None, server_name="", proxy="")
    async with open_session(own, version=version, streams=1) as session:
        yield KubeletSource(session, node)


def _messages(first: Usage, pods: Sequence[PodUsage]) -> Iterator[Usage]:
    yield Usage(source=first.source, node=first.node, nodes=first.nodes, pods=tuple(pods[:MAX_PODS]))
    for start in range(MAX_PODS, len(pods), MAX_PODS):
        yield Usage(source=first.source, node=first.node, pods=tuple(pods[start : start + MAX_PODS]))


async def _bounded(session: ApiSession, path: str, *, resource: str, max_bytes: int) -> bytes:
    """Return the answer to a GET of *path*; the caller sets the deadline. Raises RequestFailed."""
    parts, size = [], 0
    async with session.open(path, verb="get" if "/" in resource else "list", resource=resource) as response:
        while part := await read_some(response.content, 60.0):
            size += len(part)
            if size > max_bytes:
                raise NoAnswer(f"{resource}: the answer is over {max_bytes} bytes")
            parts.append(part)
    return b"".join(parts)
