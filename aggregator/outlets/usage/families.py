"""
The families of usage for /metrics: what is fresh, and nothing of what is not. No series outlives its pod.

Their names begin with `kubescribe_`, so that they stand beside cAdvisor's and kube-state-metrics'. Where no agent tells
of usage (profile beside) there are none. A family has a limit of label sets: what was told of last is left out then,
and counted; a gauge of one pod cannot be folded into `other`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.census.families import Family
from aggregator.outlets.usage.latest import REFUSALS, Latest, Told
from kubescribe.runtime.exposition import Row, TableFamily
from kubescribe.wire.usage import NodeUsage, PodUsage, Space

MAX_SERIES = 200_000

_CONTAINER = ("namespace", "pod", "container", "node")
_POD = ("namespace", "pod", "node")
_NODE = ("node",)
_VOLUME = ("namespace", "persistentvolumeclaim")
_DISK = ("node", "filesystem")

USAGE: Mapping[str, Family] = {
    "container_cpu_usage_seconds_total": Family(
        "CPU time that a container used since it started.", _CONTAINER, MAX_SERIES
    ),
    "container_memory_working_set_bytes": Family(
        "Memory of a container that cannot be reclaimed.", _CONTAINER, MAX_SERIES
    ),
    "container_disk_usage_bytes": Family("A container's writable layer and logs.", _CONTAINER, MAX_SERIES),
    "pod_network_receive_bytes_total": Family("Bytes that a pod received.", _POD, MAX_SERIES),
    "pod_network_transmit_bytes_total": Family("Bytes that a pod sent.", _POD, MAX_SERIES),
    "pod_ephemeral_storage_usage_bytes": Family(
        "What counts against a pod's limit of ephemeral storage.", _POD, MAX_SERIES
    ),
    "volume_capacity_bytes": Family("Size of a claim's volume.", _VOLUME, MAX_SERIES),
    "volume_available_bytes": Family("What is free on a claim's volume.", _VOLUME, MAX_SERIES),
    "volume_used_bytes": Family("What is used on a claim's volume.", _VOLUME, MAX_SERIES),
    "volume_inodes": Family("Inodes of a claim's volume.", _VOLUME, MAX_SERIES),
    "volume_inodes_free": Family("Free inodes of a claim's volume.", _VOLUME, MAX_SERIES),
    "node_cpu_usage_seconds_total": Family("CPU time that a node used since it started.", _NODE, MAX_SERIES),
    "node_memory_working_set_bytes": Family("Memory of a node that cannot be reclaimed.", _NODE, MAX_SERIES),
    "node_network_receive_bytes_total": Family("Bytes that a node received.", _NODE, MAX_SERIES),
    "node_network_transmit_bytes_total": Family("Bytes that a node sent.", _NODE, MAX_SERIES),
    "node_filesystem_capacity_bytes": Family("Size of a node's file system (root, images).", _DISK, MAX_SERIES),
    "node_filesystem_available_bytes": Family("What is free on a node's file system.", _DISK, MAX_SERIES),
    "node_filesystem_used_bytes": Family("What is used on a node's file system, or by its images.", _DISK, MAX_SERIES),
    "node_filesystem_inodes": Family("Inodes of a node's file system.", _DISK, MAX_SERIES),
    "node_filesystem_inodes_free": Family("Free inodes of a node's file system.", _DISK, MAX_SERIES),
}

Rows = list[Row]
_Spaces = list[tuple[tuple[str, ...], Space]]


class UsageCollector(Collector):
    """A prometheus_client collector over *latest*; `collect` may run in any thread."""

    def __init__(
        self, latest: Latest, *, now_ns: Callable[[], int], limits: Callable[[str], int] | None = None
    ) -> None:
        self._latest = latest
        self._now_ns = now_ns
        self._limits = limits or (lambda name: USAGE[name].max_series)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, none before any agent has told of usage; read them in their order, once."""
        if not self._latest.has_heard:
            return
        now = self._now_ns()
        beyond: Counter[str] = Counter()
        makers = _of_pods(list(self._latest.pods(now))) | _of_nodes(list(self._latest.nodes(now)))
        for name, family in USAGE.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            rows = partial(_cut, makers[name], self._limits(name), beyond, name)
            yield TableFamily(f"kubescribe_{name.removesuffix('_total')}", family.text, kind, family.labels, rows)
        yield TableFamily(
            "kubescribe_usage_series_beyond_limit",
            "Label sets that a family of usage has no room for, by family; they are left out.",
            "gauge",
            ("family",),
            lambda: [((name,), float(beyond[name])) for name in USAGE],
        )
        refused = CounterMetricFamily(
            "kubescribe_usage_refused", "Values of usage that cannot be, and were not taken.", labels=("reason",)
        )
        for reason in REFUSALS:
            refused.add_metric((reason,), self._latest.refused[reason])
        yield refused


def _cut(rows: Callable[[], Rows], limit: int, beyond: Counter[str], name: str) -> Rows:
    """Return at most *limit* rows, and count the rest."""
    made = rows()
    beyond[name] = max(0, len(made) - limit)
    return made[:limit]


def _of_pods(pods: list[Told[PodUsage]]) -> dict[str, Callable[[], Rows]]:
    """Return how the rows of each family about pods are made. Written to be quick: they are a hundred thousand."""
    labelled = [((it.usage.namespace, it.usage.name, it.node), it) for it in pods]
    containers = [
        ((it.usage.namespace, it.usage.name, container.name, it.node), container, it.cpu.get(container.name))
        for it in pods
        for container in it.usage.containers
    ]
    return {
        "container_cpu_usage_seconds_total": lambda: [
            (labels, value / 1e9)
            for labels, _, counter in containers
            if counter is not None and (value := counter.value) is not None
        ],
        "container_memory_working_set_bytes": lambda: [
            (labels, value) for labels, it, _ in containers if (value := it.compute.memory_bytes) is not None
        ],
        "container_disk_usage_bytes": lambda: [
            (labels, value) for labels, it, _ in containers if (value := it.disk_bytes) is not None
        ],
        "pod_network_receive_bytes_total": lambda: [
            (labels, value) for labels, it in labelled if (value := it.received.value) is not None
        ],
        "pod_network_transmit_bytes_total": lambda: [
            (labels, value) for labels, it in labelled if (value := it.sent.value) is not None
        ],
        "pod_ephemeral_storage_usage_bytes": lambda: [
            (labels, value) for labels, it in labelled if (value := it.usage.disk_bytes) is not None
        ],
        **_of_spaces("volume", _volumes(pods)),
    }


def _of_nodes(nodes: list[Told[NodeUsage]]) -> dict[str, Callable[[], Rows]]:
    return {
        "node_cpu_usage_seconds_total": lambda: [
            ((it.node,), counter.value / 1e9)
            for it in nodes
            if (counter := it.cpu.get("")) is not None and counter.value is not None
        ],
        "node_memory_working_set_bytes": lambda: [
            ((it.node,), value) for it in nodes if (value := it.usage.compute.memory_bytes) is not None
        ],
        "node_network_receive_bytes_total": lambda: [
            ((it.node,), value) for it in nodes if (value := it.received.value) is not None
        ],
        "node_network_transmit_bytes_total": lambda: [
            ((it.node,), value) for it in nodes if (value := it.sent.value) is not None
        ],
        **_of_spaces("node_filesystem", _disks(nodes)),
    }


def _of_spaces(prefix: str, spaces: _Spaces) -> dict[str, Callable[[], Rows]]:
    def rows(field: str) -> Rows:
        return [(labels, value) for labels, space in spaces if (value := getattr(space, field)) is not None]

    fields = ("capacity_bytes", "available_bytes", "used_bytes", "inodes", "inodes_free")
    return {f"{prefix}_{field}": partial(rows, field) for field in fields}


def _volumes(pods: list[Told[PodUsage]]) -> _Spaces:
    """Return each claim's volume once: of several pods that mount it, the newest word."""
    newest: dict[tuple[str, ...], tuple[int, Space]] = {}
    for told in pods:
        for volume in told.usage.volumes:
            key = told.usage.namespace, volume.claim
            if volume.claim and newest.get(key, (0,))[0] <= told.seen_at:
                newest[key] = told.seen_at, volume.space
    return [(key, space) for key, (_, space) in newest.items()]


def _disks(nodes: list[Told[NodeUsage]]) -> _Spaces:
    disks = [((it.node, "root"), it.usage.root) for it in nodes]
    disks += [((it.node, "images"), it.usage.images) for it in nodes]
    return [(labels, space) for labels, space in disks if space is not None]
