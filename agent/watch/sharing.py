"""What all watchers of a process share: the way to the API server, the way to the spool, lessons and counters."""

import random as random_module
from dataclasses import dataclass

from agent.kube.session import ApiSession
from agent.watch.counters import WatchCounters
from agent.watch.keyring import Keyring
from agent.watch.requests import ServerTraits
from agent.watch.settings import WatchSettings
from agent.watch.sink import Sink
from agent.watch.stencils import Stencils
from kubescribe.runtime.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTools:
    """What all watchers of a process share."""

    session: ApiSession
    sink: Sink
    keyring: Keyring
    traits: ServerTraits
    settings: WatchSettings
    counters: WatchCounters
    stencils: Stencils
    clock: Clock
    random: random_module.Random


def watch_tools(
    session: ApiSession,
    sink: Sink,
    keyring: Keyring,
    *,
    traits: ServerTraits | None = None,
    settings: WatchSettings | None = None,
    counters: WatchCounters | None = None,
    clock: Clock | None = None,
    random: random_module.Random | None = None,
) -> WatchTools:
    """Return the tools, with the usual ones where none are named."""
    return WatchTools(
        session=session,
        sink=sink,
        keyring=keyring,
        traits=traits or ServerTraits(),
        settings=settings or WatchSettings(),
        counters=counters or WatchCounters(),
        stencils=Stencils(),
        clock=clock or SystemClock(),
        random=random or random_module.Random(),
    )
