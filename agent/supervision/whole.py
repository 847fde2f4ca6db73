"""The scope `all`: the objects of the cluster, and the pods of every node in one stream. One agent sees everything."""

from collections.abc import Sequence

from agent.spool.spool import Spool
from agent.supervision.finding import KindFinder
from agent.supervision.scope import Scope
from agent.watch.kinds import WatchedKind
from agent.watch.sharing import WatchTools


class WholeScope(Scope):
    """Watches every kind that the cluster serves."""

    def __init__(self, tools: WatchTools, spool: Spool, kinds: Sequence[WatchedKind]) -> None:
        super().__init__(tools, spool)
        self._finder = KindFinder(tools, self.watchers, kinds)

    async def run(self) -> None:
        """Watch, until cancelled."""
        async with self.watchers.open():
            await self._finder.run()

    def sees_all_pods(self) -> bool:
        """Tell that it sees the pods of every node."""
        return True

    def unready(self) -> str:
        """Return why not everything is watched yet."""
        return "" if self._finder.has_found else "the API server has not told its kinds yet"
