"""
The families that tell how the cluster is now, from the roll of what lives; made anew at each scrape, in its thread.

Nothing is kept from scrape to scrape but text beside the very pods that it was made from (asking.py), so nothing can
drift. A family with more label sets than its limit tells the rest as `other`, where a sum makes sense, and how many
these are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric

from aggregator.census.controllers import STATES, ControllerState
from aggregator.census.families import GAUGES, OTHER
from aggregator.census.nodes import NodeState
from aggregator.census.pods import PHASES, PodState
from aggregator.census.roll import Roll
from aggregator.outlets.asking import AMOUNTS, ENDED, Asking, is_told
from kubescribe.runtime.exposition import Row, TableFamily
from kubescribe.runtime.packing import Fragment


class Standing:
    """One look at the roll; read the families in their order, once. *asking* is what the former looks made."""

    def __init__(
        self,
        roll: Roll,
        *,
        asking: Asking | None = None,
        limits: Callable[[str], int] = lambda name: GAUGES[name].max_series,
    ) -> None:
        self._roll = roll
        self._asking = asking or Asking()
        self._limits = limits
        self._beyond: dict[str, int] = dict.fromkeys(GAUGES, 0)

    def families(self) -> Iterator[Metric]:
        """Yield every family; without a sample until the roll is complete, since half a count is a wrong one."""
        yield GaugeMetricFamily(
            "kubescribe_roll_complete",
            "1 once the families of pods, workloads and nodes are told; 0 while they are read from the journal.",
            value=int(self._roll.is_complete),
        )
        is_complete = self._roll.is_complete
        pods = _named_once(self._roll.pods()) if is_complete else []
        yield self._table("pods", lambda: self._folded("pods", _phases(pods)))
        yield self._table("unschedulable_pods", lambda: self._folded("unschedulable_pods", _unschedulable(pods)))
        replicas = _replicas(self._roll.controllers() if is_complete else [])
        yield self._table("workload_replicas", lambda: self._folded("workload_replicas", replicas))
        nodes = self._roll.nodes() if is_complete else []
        yield self._table("node_condition", lambda: self._cut("node_condition", _conditions(nodes)))
        yield self._table("node_info", lambda: self._cut("node_info", _infos(nodes)))
        yield self._table("node_allocatable", lambda: self._cut("node_allocatable", _allocatable(nodes)))
        asked = self._asking.look(pods)
        for name, amount in AMOUNTS.items():
            rows, lines = partial(self._resources, name, pods, amount), partial(asked.lines, name)
            yield self._table(name, rows, lines=lines if asked.count(name) <= self._limits(name) else None)
        yield TableFamily(
            "kubescribe_series_beyond_limit",
            "Label sets that a family has no room for, by family; they are in `other` or left out.",
            "gauge",
            ("family",),
            lambda: [((name,), float(count)) for name, count in self._beyond.items()],
        )

    def _table(
        self, name: str, rows: Callable[[], Iterable[Row]], *, lines: Callable[[], Iterable[Fragment]] | None = None
    ) -> TableFamily:
        about = GAUGES[name]
        return TableFamily(f"kubescribe_{name}", about.text, "gauge", about.labels, rows, lines=lines)

    def _cut(self, name: str, values: dict[tuple[str, ...], float]) -> list[Row]:
        limit = self._limits(name)
        self._beyond[name] = max(0, len(values) - limit)
        return list(values.items()) if len(values) <= limit else sorted(values.items())[:limit]

    def _folded(self, name: str, values: dict[tuple[str, ...], float]) -> list[Row]:
        rows = self._cut(name, values)
        if self._beyond[name]:
            width = len(GAUGES[name].labels)
            kept = dict(rows)
            # The last label is a closed set: by it the rest is still worth something.
            last = width - 1 if width > 1 else width
            for labels, value in values.items():
                if labels not in kept:
                    other = (OTHER,) * last + labels[last:]
                    kept[other] = kept.get(other, 0.0) + value
            rows = list(kept.items())
        return rows

    def _resources(self, name: str, pods: Iterable[PodState], amount: int) -> Iterator[Row]:
        """Give the field *amount* of every resource, and beyond the limit the sums of the rest."""
        room, beyond = self._limits(name), 0
        rest: dict[tuple[str, ...], float] = {}
        for pod in pods:
            if pod.phase in ENDED:
                continue
            namespace, pod_name, node = pod.namespace, pod.name, pod.node
            for it in pod.resources:
                if not is_told(it, amount):
                    continue
                value: float = it[amount]  # type: ignore[assignment]
                container, resource, unit = it[0], it[1], it[2]
                if room:
                    room -= 1
                    yield (namespace, pod_name, container, node, resource, unit), value
                else:
                    beyond += 1
                    other = (OTHER, OTHER, OTHER, OTHER, resource, unit)
                    rest[other] = rest.get(other, 0.0) + value
        yield from rest.items()
        self._beyond[name] = beyond


def _named_once(pods: Sequence[PodState]) -> list[PodState]:
    """Return the newest of each name: a pod that was made anew may be told of before its predecessor's end."""
    return list({(pod.namespace, pod.name): pod for pod in pods}.values())


def _phases(pods: Sequence[PodState]) -> dict[tuple[str, ...], float]:
    counts = Counter((pod.namespace, pod.phase) for pod in pods)
    namespaces = dict.fromkeys(namespace for namespace, _ in counts)
    return {(namespace, phase): float(counts[namespace, phase]) for namespace in namespaces for phase in PHASES}


def _unschedulable(pods: Sequence[PodState]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = dict.fromkeys([(pod.namespace,) for pod in pods], 0.0)
    for pod in pods:
        if pod.is_unschedulable:
            found[(pod.namespace,)] += 1
    return found


def _replicas(controllers: Iterable[ControllerState]) -> dict[tuple[str, ...], float]:
    return {
        (it.namespace, it.kind, it.name, state): float(count)
        for it in controllers
        for state, count in zip(STATES, it.replicas, strict=True)
    }


def _conditions(nodes: Iterable[NodeState]) -> dict[tuple[str, ...], float]:
    return {(node.name, condition): float(value) for node in nodes for condition, value in node.conditions}


def _infos(nodes: Iterable[NodeState]) -> dict[tuple[str, ...], float]:
    # By name: a node that was made anew may be told of before its predecessor's end.
    newest = {node.name: node for node in nodes}
    return {
        (it.name, it.zone, it.instance_type, it.capacity_type, it.kubelet_version, it.os, it.host): 1.0
        for it in newest.values()
    }


def _allocatable(nodes: Iterable[NodeState]) -> dict[tuple[str, ...], float]:
    return {
        (node.name, resource, unit): value
        for node in nodes
        for resource, unit, value in (("cpu", "core", node.cpu), ("memory", "byte", node.memory))
        if value is not None
    }
