"""
The one to ask and to tell of usage: joins what agents told with what the journal knows. Composed by `app.py`.

    agents ─take─▶ Latest ─▶ UsageCollector ─▶ /metrics
                     └──── + PodIndex (journal) ─▶ rows ─▶ GET usage
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from aggregator.outlets.usage.budgets import KnownPod
from aggregator.outlets.usage.families import UsageCollector
from aggregator.outlets.usage.index import Journal, PodIndex
from aggregator.outlets.usage.items import Item, node_item, pod_item
from aggregator.outlets.usage.latest import Latest, Told
from aggregator.outlets.usage.steady import SECOND
from aggregator.records import Published
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import PodUsage

_EXPIRE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """
    What `GET usage` asks for; "" means any.

    Nodes are in no namespace and of no workload: either leaves them out. `after` is the key of the last row seen.
    """

    namespace: str = ""
    node: str = ""
    workload: str = ""
    name: str = ""
    kind: str = ""
    after: str = ""
    limit: int = 100
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRows:
    """A page of items; `last` is the `after` of the next one, None when there is none."""

    items: Sequence[Item]
    last: str | None


class UsageDesk:
    """Everything about usage in this process; for the loop, but for `rows` and the collector."""

    def __init__(self, journal: Journal, *, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._index = PodIndex(journal, self._gone, now_seconds=lambda: now_ns() / SECOND)
        self._latest = Latest(self._index)
        self.collector = UsageCollector(self._latest, now_ns=now_ns)

    @property
    def has_heard(self) -> bool:
        """Whether any agent has told of usage since this process began."""
        return self._latest.has_heard

    def take(self, usage: Usage) -> None:
        """Take what an agent tells."""
        self._latest.take(usage, self._now_ns())

    def committed(self, published: Sequence[Published]) -> None:
        """Take in what one transaction brought; call it after the commit."""
        if self._latest.has_heard:
            self._index.committed(published)

    async def run(self) -> NoReturn:
        """Read the journal where it is needed, and forget what is old, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._expire(), name="usage-expiry")
            await self._index.run()
        raise AssertionError("unreachable")

    def last_seen(self, node: str) -> int:
        """Return when a node was last told of, ns, 0 for never."""
        return self._latest.last_seen(node)

    def reported(self) -> frozenset[str]:
        """Return the nodes of which what is shown is fresh."""
        return frozenset(told.node for told in self._latest.nodes(self._now_ns()))

    def rows(self, query: UsageQuery) -> UsageRows:
        """Return the page that *query* asks for: nodes first, then pods, each by name; may be called in a thread."""
        now = self._now_ns()
        pods = {key: (told, known) for key, told, known in self._pods(now)}
        found: dict[str, Callable[[], Item]] = {}
        if query.kind in ("", "Node") and not query.namespace and not query.workload:
            on_node: dict[str, list[KnownPod]] = {}
            for told, known in pods.values():
                if known is not None:
                    on_node.setdefault(told.node, []).append(known)
            for node in self._latest.nodes(now):
                if query.node in ("", node.node) and query.name in ("", node.node):
                    found[f"node/{node.node}"] = lambda node=node: node_item(  # type: ignore[misc]
                        node, self._index.node(node.node), on_node.get(node.node, ()), history=query.history
                    )
        if query.kind in ("", "Pod"):
            for key, (told, known) in pods.items():
                if _matches(query, told, known):
                    found[key] = lambda told=told, known=known: pod_item(told, known, history=query.history)  # type: ignore[misc]
        keys = sorted(key for key in found if key > query.after)
        page = keys[: query.limit]
        return UsageRows(items=[found[key]() for key in page], last=page[-1] if len(keys) > len(page) else None)

    def _pods(self, now: int) -> Iterator[tuple[str, Told[PodUsage], KnownPod | None]]:
        for told in self._latest.pods(now):
            usage = told.usage
            known = self._index.peek(usage.namespace, usage.name, usage.uid)
            yield f"pod/{usage.namespace}/{usage.name}/{told.node}", told, known

    def _gone(self, pod: KnownPod) -> None:
        self._latest.forget(pod, self._now_ns())

    async def _expire(self) -> NoReturn:
        while True:
            await asyncio.sleep(_EXPIRE_SECONDS)
            self._latest.expire(self._now_ns())
            self._index.keep(self._latest.names())


def _matches(query: UsageQuery, told: Told[PodUsage], known: KnownPod | None) -> bool:
    return (
        query.namespace in ("", told.usage.namespace)
        and query.node in ("", told.node)
        and query.name in ("", told.usage.name)
        and query.workload in ("", known.workload if known else None)
    )
