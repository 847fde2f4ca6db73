"""What every scope has in common: its watchers, and what the link tells about them. A scope is the link's `LinkApp`."""

from collections.abc import Callable, Mapping, Sequence

from agent.link.requests import Handler
from agent.spool.spool import Spool
from agent.supervision.watchers import Claims, Watchers
from agent.watch.sharing import WatchTools
from kubescribe.wire.link import Granted, StreamClaim, Welcome
from kubescribe.wire.records import StreamHealth


class Scope:
    """Base of the scopes; each says in `run` what is watched. `attach` names the link before `run`."""

    def __init__(self, tools: WatchTools, spool: Spool) -> None:
        self._tools = tools
        self.watchers = Watchers(tools, spool)
        self._heard: list[Callable[[Welcome], None]] = []

    def hear(self, heard: Callable[[Welcome], None]) -> None:
        """Call *heard* with each Welcome; it must be quick."""
        self._heard.append(heard)

    def attach(self, claims: Claims) -> None:
        """Take the link on which streams are claimed."""
        self.watchers.claims = claims

    async def run(self) -> None:
        """Watch, until cancelled."""
        raise NotImplementedError

    def unready(self) -> str:
        """Return why the scope's work is not done, "" when it is; the link's state is not its concern."""
        return ""

    def health(self) -> tuple[StreamHealth, ...]:
        """Return what is reported to the aggregator: how every stream does."""
        return self.watchers.health()

    def sees_all_pods(self) -> bool:
        """Tell whether usage of a whole cluster is this agent's to ask for: no kubelet is asked of some node."""
        return False

    def handlers(self) -> Mapping[str, Handler]:
        """Return the requests of the aggregator that are answered, by verb."""
        return {}

    # What the link tells.

    async def on_welcome(self, welcome: Welcome) -> None:
        """Take the redaction key: watching may begin."""
        self._tools.keyring.provide(welcome.redaction_key)
        for heard in self._heard:
            heard(welcome)

    async def on_grants(self, granted: Granted) -> None:
        """Tell each watcher where its stream goes on."""
        for grant in granted.streams:
            self.watchers.granted(grant)

    async def on_relist(self, streams: Sequence[str], epoch: int, reason: str) -> None:
        """Tell the watchers of *streams* to send Snapshots."""
        self.watchers.relist(streams, epoch, reason)

    async def on_adopt(self, streams: Sequence[StreamClaim]) -> None:
        """Do nothing: only the cluster agent adopts."""
