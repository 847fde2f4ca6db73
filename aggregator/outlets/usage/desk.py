"""
The one to ask and to tell of usage: joins what agents told with what the journal knows to live.

    agents ─take─▶ Latest ──▶ UsageCollector ─▶ /metrics
                     └─ + the roll of what lives ─▶ rows ─▶ GET usage
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from aggregator.census.pods import PodState
from aggregator.census.roll import Roll
from aggregator.outlets.usage.families import UsageCollector
from aggregator.outlets.usage.items import Item, budget_of, node_item, pod_item
from aggregator.outlets.usage.latest import Latest, Told
from aggregator.outlets.usage.whose import Budget, Register
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

    def __init__(self, roll: Roll, *, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._register = Register(roll)
        self._latest = Latest(self._register)
        self.collector = UsageCollector(self._latest, now_ns=now_ns)

    @property
    def has_heard(self) -> bool:
        """Whether any agent has told of usage since this process began."""
        return self._latest.has_heard

    def take(self, usage: Usage) -> None:
        """Take what an agent tells."""
        self._latest.take(usage, self._now_ns())
        self.collector.told(usage.node)

    async def run(self) -> NoReturn:
        """Forget what is old, until cancelled."""
        while True:
            await asyncio.sleep(_EXPIRE_SECONDS)
            self._latest.expire(self._now_ns())

    def last_seen(self, node: str) -> int:
        """Return when a node was last told of, ns, 0 for never."""
        return self._latest.last_seen(node)

    def reported(self) -> frozenset[str]:
        """Return the nodes of which what is shown is fresh."""
        return frozenset(told.node for told in self._latest.nodes(self._now_ns()))

    def rows(self, query: UsageQuery) -> UsageRows:
        """Return the page that *query* asks for: nodes first, then pods, each by name; may be called in a thread."""
        now = self._now_ns()
        found: dict[str, Callable[[], Item]] = {}
        budgets: dict[str, list[Budget]] = {}
        wants_nodes = query.kind in ("", "Node") and not query.namespace and not query.workload
        for told in self._latest.pods(now):
            usage = told.usage
            pod = self._register.pod(usage.namespace, usage.name, usage.uid)
            known = pod if isinstance(pod, PodState) else None
            if wants_nodes and query.node in ("", told.node):
                budgets.setdefault(told.node, []).append(budget_of(usage, known))
            if query.kind in ("", "Pod") and _matches(query, told, known):
                found[f"pod/{usage.namespace}/{usage.name}/{told.node}"] = partial(self._pod_item, query, told, known)
        known_nodes = self._register.nodes() if wants_nodes else {}
        for node in self._latest.nodes(now) if wants_nodes else ():
            if query.node in ("", node.node) and query.name in ("", node.node):
                asked = budgets.get(node.node, [])
                found[f"node/{node.node}"] = partial(
                    node_item, node, known_nodes.get(node.node), asked, history=query.history
                )
        keys = sorted(key for key in found if key > query.after)
        page = keys[: query.limit]
        return UsageRows(items=[found[key]() for key in page], last=page[-1] if len(keys) > len(page) else None)

    def _pod_item(self, query: UsageQuery, told: Told[PodUsage], known: PodState | None) -> Item:
        uid = self._register.uid(told.usage.namespace, told.usage.name)
        return pod_item(told, known, uid, history=query.history)


def _matches(query: UsageQuery, told: Told[PodUsage], known: PodState | None) -> bool:
    return (
        query.namespace in ("", told.usage.namespace)
        and query.node in ("", told.node)
        and query.name in ("", told.usage.name)
        and query.workload in ("", known.workload if known else None)
    )
