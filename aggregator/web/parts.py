"""What the web side is made of: the values and services that `app.py` of the aggregator hands in."""

from collections.abc import Callable
from dataclasses import dataclass

from aggregator.logs.following import Tails
from aggregator.logs.reading import NodeLines
from aggregator.outlets.fleet import Recorder
from aggregator.outlets.hub import Hub
from aggregator.outlets.usage.desk import UsageDesk
from aggregator.store.base import Journal
from aggregator.web.guarding import Guard


@dataclass(slots=True, kw_only=True, frozen=True)
class WebParts:
    """
    `base_path` is "" or begins with a slash and does not end with one; `now_ns` is the wall clock.

    `lines` reads lines, `tails` follows them.

    `horizon` tells when the oldest record was committed, ns, 0 while there is none: what lies before was not recorded.
    """

    journal: Journal
    hub: Hub
    lines: NodeLines
    tails: Tails
    recorder: Recorder
    guard: Guard
    version: str
    now_ns: Callable[[], int]
    base_path: str = ""
    horizon: Callable[[], int] = lambda: 1
    usage: UsageDesk | None = None
