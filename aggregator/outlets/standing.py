"""
The families that tell how the cluster is now, from the roll of what lives; made anew at each scrape, in its thread.

Nothing is kept from scrape to scrape, so nothing can drift. A family with more label sets than its limit tells the rest
as `other`, where a sum makes sense, and how many these are.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric

from aggregator.census.controllers import STATES, ControllerState
from aggregator.census.families import GAUGES, OTHER
from aggregator.census.nodes import NodeState
from aggregator.census.pods import PHASES, PodState, Resource
from aggregator.census.roll import Roll
from kubescribe.runtime.exposition import Row, TableFamily, escaped

_ENDED = ("Succeeded", "Failed")

_REQUEST, _LIMIT = Resource._fields.index("request"), Resource._fields.index("limit")
_PASSING = Resource._fields.index("is_passing")
_AMOUNTS = {"container_resource_requests": _REQUEST, "container_resource_limits": _LIMIT}


class Standing:
    """One look at the roll; read the families in their order, once."""

    def __init__(self, roll: Roll, *, limits: Callable[[str], int] = lambda name: GAUGES[name].max_series) -> None:
        self._roll = roll
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
        wheres = _wheres(pods)
        for name, amount in _AMOUNTS.items():
            rows, lines = partial(self._resources, name, pods, amount), partial(_resource_lines, name, wheres, amount)
            yield self._table(name, rows, lines=lines if _count(wheres, amount) <= self._limits(name) else None)
        yield TableFamily(
            "kubescribe_series_beyond_limit",
            "Label sets that a family has no room for, by family; they are in `other` or left out.",
            "gauge",
            ("family",),
            lambda: [((name,), float(count)) for name, count in self._beyond.items()],
        )

    def _table(
        self, name: str, rows: Callable[[], Iterable[Row]], *, lines: Callable[[], Iterable[str]] | None = None
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
            if pod.phase in _ENDED:
                continue
            namespace, pod_name, node = pod.namespace, pod.name, pod.node
            for it in pod.resources:
                value: float | None = it[amount]  # type: ignore[assignment]
                if value is None or it[_PASSING]:
                    continue
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


_Wheres = list[tuple[str, tuple[Resource, ...]]]


def _wheres(pods: Iterable[PodState]) -> _Wheres:
    """Return what a line says of each pod that asks for something, as it stands there, and its resources."""
    shared: dict[str, str] = {}  # namespaces and nodes are few
    found = []
    for pod in pods:
        if pod.phase in _ENDED or not pod.resources:
            continue
        namespace = shared.get(pod.namespace) or shared.setdefault(pod.namespace, escaped(pod.namespace))
        node = shared.get(pod.node) or shared.setdefault(pod.node, escaped(pod.node))
        found.append((f'namespace="{namespace}",pod="{escaped(pod.name)}",node="{node}"', pod.resources))
    return found


def _count(wheres: _Wheres, amount: int) -> int:
    counts: dict[int, int] = {}
    total = 0
    for _, resources in wheres:
        count = counts.get(id(resources))
        if count is None:
            count = counts[id(resources)] = sum(it[amount] is not None and not it[_PASSING] for it in resources)
        total += count
    return total


_HERE = "\0"
"""Where a template has what is said of its pod."""


def _resource_lines(name: str, wheres: _Wheres, amount: int) -> Iterator[str]:
    """
    Give what `_resources` gives, as text, a pod at a time: a hundred thousand lines at 20,000 pods.

    What lines say of the containers is put together once for all pods of a template, which share the tuple.
    """
    templates: dict[int, str] = {}
    for where, resources in wheres:
        template = templates.get(id(resources))
        if template is None:
            template = templates[id(resources)] = "".join(
                f'kubescribe_{name}{{{_HERE},container="{escaped(it.container).replace(_HERE, "")}"'
                f',resource="{it.resource}",unit="{it.unit}"}} {it[amount]!r}\n'
                for it in resources
                if it[amount] is not None and not it[_PASSING]
            )
        if template:
            yield template.replace(_HERE, where)


def _named_once(pods: Iterable[PodState]) -> list[PodState]:
    """Return the newest of each name: a pod that was made anew may be told of before its predecessor's end."""
    return list({(pod.namespace, pod.name): pod for pod in pods}.values())


def _phases(pods: Iterable[PodState]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for pod in pods:
        key = (pod.namespace, pod.phase)
        if key not in found:
            for phase in PHASES:
                found.setdefault((pod.namespace, phase), 0.0)
        found[key] += 1
    return found


def _unschedulable(pods: Iterable[PodState]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for pod in pods:
        found[(pod.namespace,)] = found.get((pod.namespace,), 0.0) + pod.is_unschedulable
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
