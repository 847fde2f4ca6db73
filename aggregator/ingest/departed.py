"""
Counters of workloads and nodes that are gone: forgotten where their family gets full, so that what is new finds room.

Namespaces for each pull request make workloads without end, an autoscaler nodes, and a family that is full tells of no
new one. Prometheus has what was counted of those that are gone; one that comes back begins at 0 again, which is to it
what a restart is. As long as there is room nothing is forgotten.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

import structlog

from aggregator.census.families import BLIND, COUNTERS, MAX_SERIES, OTHER, WORKLOAD
from aggregator.census.roll import Roll
from aggregator.errors import StoreUnavailable
from aggregator.ingest.ledger import Draft
from aggregator.ingest.pipeline import Pipeline
from aggregator.records import CounterKey

FULL_SHARE = 0.75
"""Of its limit, from which on a family has no room for the departed."""

AFTER_SECONDS = 3600
"""Since when a workload must have been gone: nobody's `increase()` over the last minutes ends with it."""

TICK_SECONDS = 600.0

_ALWAYS = frozenset({"", OTHER, "default"})
"""Namespaces without workloads that are spoken of all the same: Events of nodes are in `default`."""

_OF_ONE = ("pods/node=", "agent/node/", "agent/cluster/")
"""What begins the name of a stream that is one node's, or one pod's of the cluster agent."""

_log = structlog.get_logger(__name__)


def _limit_of(family: str) -> int:
    return COUNTERS[family].max_series if family in COUNTERS else MAX_SERIES


class Departed:
    """Knows since when each series of a family that gets full has been nobody's; for one who asks again and again."""

    def __init__(self, *, limit_of: Callable[[str], int] = _limit_of) -> None:
        self._limit_of = limit_of
        self._since: dict[CounterKey, int] = {}

    def due(self, series: Mapping[str, Collection[tuple[str, ...]]], roll: Roll, now: int) -> list[CounterKey]:
        """Return what may be forgotten of *series*, by family, at *now*, ns; nothing before the roll is complete."""
        families = [family for family, about in COUNTERS.items() if about.labels[0] == "namespace"]
        full = [it for it in (*families, BLIND) if len(series.get(it, ())) > FULL_SHARE * self._limit_of(it)]
        if not full or not roll.is_complete:
            self._since = {}
            return []
        lives = _lives(roll)
        nobodys = [
            CounterKey(family, labels)
            for family in full
            for labels in series[family]
            if (whose := _whose(family, labels)) is not None and whose not in lives
        ]
        self._since = {key: self._since.get(key, now) for key in nobodys}
        return [key for key, since in self._since.items() if now - since >= AFTER_SECONDS * 10**9]


def _whose(family: str, labels: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return what of `_lives` a series is about, None for what is never gone."""
    if family == BLIND:
        start = next((it for it in _OF_ONE if labels[0].startswith(it)), None)
        return None if start is None else ("", labels[0].removeprefix(start))
    if labels[0] in _ALWAYS:
        return None
    names = COUNTERS[family].labels
    if names[:3] == WORKLOAD:
        return labels[:3]
    return labels[:2] if names[1] == "workload" else labels[:1]


def _lives(roll: Roll) -> set[tuple[str, ...]]:
    """
    Return what lives, as families name it: a workload with its kind, without it, its namespace alone.

    Nodes, and pods by their own names, are in the namespace "".
    """
    workloads = {(it.namespace, it.workload_kind, it.workload) for it in roll.pods()}
    workloads |= {(it.namespace, it.kind, it.name) for it in roll.controllers()}
    return {
        *workloads,
        *((namespace, name) for namespace, _, name in workloads),
        *((namespace,) for namespace, _, _ in workloads),
        *(("", node.name) for node in roll.nodes()),
        *(("", pod.name) for pod in roll.pods()),
    }


class Sweeping:
    """Forgets what is due, now and then."""

    def __init__(
        self,
        pipeline: Pipeline,
        departed: Departed,
        *,
        now_ns: Callable[[], int],
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._pipeline = pipeline
        self._departed = departed
        self._now_ns = now_ns
        self._tick_seconds = tick_seconds

    async def run(self) -> NoReturn:
        """Forget until cancelled."""
        while True:
            await asyncio.sleep(self._tick_seconds)
            try:
                await self.forget()
            except StoreUnavailable as error:
                _log.warning("counters.not_forgotten", error=str(error))

    async def forget(self) -> None:
        """Forget what is due now. Raises StoreUnavailable."""
        ledger = self._pipeline.ledger
        keys = self._departed.due(ledger.series.known, ledger.roll, self._now_ns())
        if not keys:
            return

        def write(draft: Draft) -> None:
            draft.plan.forgotten_counters.extend(keys)

        await self._pipeline.note(write)
        _log.info("counters.forgotten", series=len(keys))
