"""Which gaps touch an answer about lines: what was rotated away unread, and pods that nobody may have told of."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from aggregator.logs.asking import Target
from aggregator.records import Page, RecordQuery

LOGS = "logs"
"""How the stream of a gap begins that stands for lines: `logs/<namespace>/<pod>/<container>`."""

_MAX_GAPS = 1_000
_MAX_PAGES = 20
"""Gaps of everybody in the time that is asked for: Loki away for an hour makes one for each container."""

_WHO_TELLS_OF_PODS = frozenset({"pods", "agent"})


class Gaps(Protocol):
    """The part of the journal that is looked into."""

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:
        """As Journal.gaps."""
        ...


_ANY = "*"
"""In the stream of a gap of lines: whichever it was; so many were lost, or nobody looked inside."""


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
    found: list[bytes] = []
    last: int | None = None
    for _ in range(_MAX_PAGES):
        page = await journal.gaps(replace(query, after=last), open_or_lost_only=True)
        found += [item for item in page.items if _touches(_GAP.decode(item), names, container, of_all=of_all)]
        last = page.last
        if last is None or len(found) >= _MAX_GAPS:
            break
    return found


def _touches(gap: _Gap, names: set[tuple[str, str]], container: str, *, of_all: bool) -> bool:
    first, *rest = gap.stream.split("/")
    if first == LOGS:
        namespace, pod, its = (*rest, *("",) * 3)[:3]
        is_theirs = (namespace, pod) in names or (
            pod == _ANY and (namespace == _ANY or any(namespace == theirs for theirs, _ in names))
        )
        return is_theirs and (not container or its in ("", _ANY, container))
    return of_all and gap.outcome == "open" and first in _WHO_TELLS_OF_PODS
