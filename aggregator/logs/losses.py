"""Which gaps touch an answer about lines: what was rotated away unread, and pods that nobody may have told of."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from aggregator.logs.asking import Target
from aggregator.records import Page, RecordQuery

LOGS = "logs"
"""How the stream of a gap begins that stands for lines: `logs/<namespace>/<pod>/<container>`."""

_MAX_GAPS = 1_000
_WHO_TELLS_OF_PODS = frozenset({"pods", "agent"})


class Gaps(Protocol):
    """The part of the journal that is looked into."""

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """As Journal.gaps."""
        ...


class _Gap(msgspec.Struct, gc=False):
    stream: str
    outcome: str


_GAP = msgspec.json.Decoder(_Gap)


async def gaps_of(
    journal: Gaps, targets: Sequence[Target], *, since: int, until: int, container: str, of_all: bool
) -> list[bytes]:
    """
    Return the gaps from *since* to *until* (ns, 0 for open) that may have lines of *targets* in them.

    With *of_all* it is a workload that was asked for: then those count too in which a pod of its may have been missed.
    """
    names = {(it.pod.namespace, it.pod.name) for it in targets}
    query = RecordQuery(start=since - 1 if since else None, to=until or None, limit=_MAX_GAPS)
    page = await journal.gaps(query, open_or_lost_only=True)
    return [item for item in page.items if _touches(_GAP.decode(item), names, container, of_all=of_all)]


def _touches(gap: _Gap, names: set[tuple[str, str]], container: str, *, of_all: bool) -> bool:
    first, *rest = gap.stream.split("/")
    if first == LOGS:
        is_theirs = len(rest) >= 2 and (rest[0], rest[1]) in names
        return is_theirs and (not container or len(rest) < 3 or rest[2] == container)
    return of_all and gap.outcome == "open" and first in _WHO_TELLS_OF_PODS
