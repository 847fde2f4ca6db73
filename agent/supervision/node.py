"""
The scope `node`: the pods of one node, in one watch on one connection, which costs the API server what a kubelet does.

No discovery, no other kind: whatever else thousands of agents asked for would be asked thousands of times.
"""

import asyncio

from agent.spool.spool import Spool
from agent.supervision.scope import Scope
from agent.watch.kinds import PODS
from agent.watch.sharing import WatchTools


class NodeScope(Scope):
    """Watches the pods of *node*."""

    def __init__(self, tools: WatchTools, spool: Spool, node: str) -> None:
        super().__init__(tools, spool)
        self._node = node

    async def run(self) -> None:
        """Watch, until cancelled."""
        async with self.watchers.open():
            self.watchers.start([(PODS, self._node)])
            await asyncio.Event().wait()

    def unready(self) -> str:
        """Return why the node's pods are not watched; one that tries again counts as watched, a refusal does not."""
        for stream in self.watchers.health():
            if stream.state in {"forbidden", "notServed"}:
                return f"{stream.name}: {stream.detail}"
        return "" if self.watchers.names() else "the watch has not begun"
