"""
Who reports the pods of each node, since when nobody does, and which streams the cluster agent is to adopt. Pure.

A node is covered by its own agent while that is connected, else by the cluster agent that adopted its stream. Adopted
is what has had no agent for `after_seconds` (Fargate has none at all), and what was left behind by a Node that is gone:
its pods must be seen to go. A node agent that comes back wins: it is not in the list any more that moment.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aggregator.outlets.fleet import Covered, NodeStatus

SECOND = 10**9


@dataclass(slots=True)
class _Node:
    since: int
    """When its own agent came or went, or the node appeared."""
    unseen_since: int
    """From when on it has been without anybody; its agent may be on its way since then."""
    agent: str = ""
    adopter: str = ""
    is_gone: bool = False
    is_left: bool = False
    """It was adopted, and no agent of its own has come since: whoever leads next need not wait for one."""

    @property
    def state(self) -> Covered:
        return "reporting" if self.agent else "adopted" if self.adopter else "unreported"


class Coverage:
    """What is known of the nodes; every method is told the time, ns, and none waits for anything."""

    def __init__(self, *, after_seconds: float = 60.0, max_adopted: int = 200) -> None:
        self._after = int(after_seconds * SECOND)
        self._max_adopted = max_adopted
        self._nodes: dict[str, _Node] = {}
        self._agents: dict[str, str] = {}
        self._whole = ""
        """The agent of scope `all` that is here."""

    def node_came(self, name: str, now: int, *, since: int | None = None) -> bool:
        """Note that a Node exists, *since* when it has had no agent, if that is known; tell whether that is news."""
        node = self._nodes.get(name)
        if node is None:
            self._nodes[name] = _Node(now if since is None else since, now, agent=self._agents.get(name, ""))
            return True
        is_news, node.is_gone = node.is_gone, False
        return is_news

    def node_went(self, name: str, now: int) -> bool:
        """Note that a Node is deleted; it stays known until it is retired. Tell whether that is news."""
        known = self._nodes.get(name)
        if known is not None and known.is_gone:
            return False
        self.node_came(name, now)
        self._nodes[name].is_gone = True
        return True

    def pod_came(self, node: str, now: int) -> None:
        """Note a pod of *node*: one that is not known is taken for deleted until its Node is told."""
        if node not in self._nodes:
            self.node_went(node, now)

    def retire(self, name: str) -> None:
        """Forget a node: it is gone, and so are its pods."""
        self._nodes.pop(name, None)

    def agent_came(self, agent: str, node: str, now: int) -> None:
        """Note that an agent is here: that of *node*, or one of scope `all` when *node* is ""."""
        if not node:
            self._whole = agent
            return
        self._agents[node] = agent
        known = self._nodes.get(node)
        if known is not None:
            known.agent, known.adopter, known.since, known.is_left = agent, "", now, False

    def agent_went(self, agent: str, node: str, now: int) -> None:
        """Note that an agent is away."""
        if not node:
            self._whole = "" if self._whole == agent else self._whole
            return
        self._agents.pop(node, None)
        known = self._nodes.get(node)
        if known is None:
            # Its Node was never told, or is retired: what it left behind must be seen to go, as a deleted one's.
            self.node_went(node, now)
        elif known.agent:
            known.agent, known.since, known.unseen_since = "", now, now

    def to_adopt(self, adopter: str, held: Collection[str], now: int) -> tuple[str, ...]:
        """
        Return the nodes that *adopter* is to cover from now on, which are taken for adopted then, by name.

        *held* are those whose streams it holds already: they stay with it, also across a restart of ours. Of the others
        those are first that have been without anybody for longest; beyond the limit they stay unreported, and show.
        """
        free = [] if self._whole else [(name, node) for name, node in self._nodes.items() if not node.agent]
        due = sorted(
            (name not in held, node.unseen_since, name)
            for name, node in free
            if name in held or node.adopter or node.is_left or node.is_gone or now - node.unseen_since >= self._after
        )
        chosen = {name for _, _, name in due[: self._max_adopted]}
        for name, node in free:
            self._adopted(node, adopter if name in chosen else "", now)
        return tuple(sorted(chosen))

    def abandon(self, now: int) -> None:
        """Note that no cluster agent is here: what it had adopted is unreported."""
        for node in self._nodes.values():
            self._adopted(node, "", now)

    @staticmethod
    def _adopted(node: _Node, adopter: str, now: int) -> None:
        if node.adopter and not adopter:
            node.unseen_since, node.is_left = now, True
        node.adopter = adopter

    def is_here(self, node: str) -> bool:
        """Tell whether the node's own agent is connected."""
        return node in self._agents

    def gone(self) -> tuple[str, ...]:
        """Return the nodes that are deleted, not retired, and without an agent of their own."""
        return tuple(name for name, node in self._nodes.items() if node.is_gone and not node.agent)

    def unreported(self, now: int) -> Mapping[str, int]:
        """Return the nodes that nobody has reported for longer than an adoption takes, and since when, ns."""
        if self._whole:
            return {}
        return {
            name: node.unseen_since
            for name, node in self._nodes.items()
            if node.state == "unreported" and now - node.unseen_since >= self._after
        }

    def nodes(self) -> tuple[NodeStatus, ...]:
        """Return every node, by name."""
        return tuple(
            NodeStatus(
                node=name,
                state="reporting" if self._whole else node.state,
                by=node.agent or self._whole or node.adopter,
                since=node.since,
                is_gone=node.is_gone,
            )
            for name, node in sorted(self._nodes.items())
        )
