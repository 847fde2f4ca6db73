"""
The families of usage for /metrics: what is fresh, and nothing of what is not. No series outlives its pod.

Their names begin with `kubescribe_`, so that they stand beside cAdvisor's and kube-state-metrics'. Where no agent tells
of usage (profile beside) there are none. A family has at most MAX_SERIES label sets: what was told of last is left out
then, and counted; a gauge cannot be folded into `other`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.outlets.usage.latest import REFUSALS, Latest, Told
from kubescribe.wire.usage import NodeUsage, PodUsage, Space

MAX_SERIES = 100_000

_CONTAINER = ("namespace", "pod", "container", "node")
_POD = ("namespace", "pod", "node")
_VOLUME = ("namespace", "persistentvolumeclaim")
_DISK = ("node", "filesystem")

_COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "container_cpu_usage_seconds": ("CPU time that a container used since it started.", _CONTAINER),
    "pod_network_receive_bytes": ("Bytes that a pod received.", _POD),
    "pod_network_transmit_bytes": ("Bytes that a pod sent.", _POD),
    "node_cpu_usage_seconds": ("CPU time that a node used since it started.", ("node",)),
    "node_network_receive_bytes": ("Bytes that a node received.", ("node",)),
    "node_network_transmit_bytes": ("Bytes that a node sent.", ("node",)),
}
_GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "container_memory_working_set_bytes": ("Memory of a container that cannot be reclaimed.", _CONTAINER),
    "container_disk_usage_bytes": ("A container's writable layer and logs.", _CONTAINER),
    "pod_ephemeral_storage_usage_bytes": ("What counts against a pod's limit of ephemeral storage.", _POD),
    "node_memory_working_set_bytes": ("Memory of a node that cannot be reclaimed.", ("node",)),
    "volume_capacity_bytes": ("Size of a claim's volume.", _VOLUME),
    "volume_available_bytes": ("What is free on a claim's volume.", _VOLUME),
    "volume_used_bytes": ("What is used on a claim's volume.", _VOLUME),
    "volume_inodes": ("Inodes of a claim's volume.", _VOLUME),
    "volume_inodes_free": ("Free inodes of a claim's volume.", _VOLUME),
    "node_filesystem_capacity_bytes": ("Size of a node's file system (root, images).", _DISK),
    "node_filesystem_available_bytes": ("What is free on a node's file system.", _DISK),
    "node_filesystem_used_bytes": ("What is used on a node's file system, by images where it is theirs.", _DISK),
    "node_filesystem_inodes": ("Inodes of a node's file system.", _DISK),
    "node_filesystem_inodes_free": ("Free inodes of a node's file system.", _DISK),
}


class UsageCollector(Collector):
    """A prometheus_client collector over *latest*; `collect` may run in any thread."""

    def __init__(self, latest: Latest, *, now_ns: Callable[[], int], max_series: int = MAX_SERIES) -> None:
        self._latest = latest
        self._now_ns = now_ns
        self._max_series = max_series

    def collect(self) -> Iterator[Metric]:
        """Yield every family, none before any agent has told of usage."""
        if not self._latest.has_heard:
            return
        now = self._now_ns()
        sheet = _Sheet(self._max_series)
        volumes: dict[tuple[str, str], tuple[int, Space]] = {}
        for pod in self._latest.pods(now):
            _write_pod(sheet, pod)
            for volume in pod.usage.volumes:
                key = pod.usage.namespace, volume.claim
                # A claim that several pods mount is one volume: the newest word counts.
                if volume.claim and volumes.get(key, (0,))[0] <= pod.seen_at:
                    volumes[key] = pod.seen_at, volume.space
        for claim, (_, space) in volumes.items():
            sheet.space("volume", claim, space)
        for node in self._latest.nodes(now):
            _write_node(sheet, node)
        yield from sheet.families.values()
        left_out = GaugeMetricFamily(
            "kubescribe_usage_series_left_out", "Series beyond the limit of their family.", labels=("family",)
        )
        for name, count in sheet.left_out.items():
            left_out.add_metric((f"kubescribe_{name}",), count)
        yield left_out
        refused = CounterMetricFamily(
            "kubescribe_usage_refused", "Values of usage that cannot be, and were not taken.", labels=("reason",)
        )
        for reason in REFUSALS:
            refused.add_metric((reason,), self._latest.refused[reason])
        yield refused


class _Sheet:
    """The families of one scrape as they fill."""

    def __init__(self, max_series: int) -> None:
        self.families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, (text, labels) in _COUNTERS.items():
            self.families[name] = CounterMetricFamily(f"kubescribe_{name}", text, labels=labels)
        for name, (text, labels) in _GAUGES.items():
            self.families[name] = GaugeMetricFamily(f"kubescribe_{name}", text, labels=labels)
        self.left_out: Counter[str] = Counter()
        self._max_series = max_series

    def add(self, name: str, labels: tuple[str, ...], value: float | None) -> None:
        """Add a sample, unless nothing is known or the family is full."""
        if value is None:
            return
        family = self.families[name]
        if len(family.samples) >= self._max_series:
            self.left_out[name] += 1
            return
        family.add_metric(labels, value)

    def space(self, prefix: str, labels: tuple[str, ...], space: Space | None) -> None:
        """Add what is known of a file system or volume."""
        if space is None:
            return
        self.add(f"{prefix}_capacity_bytes", labels, space.capacity_bytes)
        self.add(f"{prefix}_available_bytes", labels, space.available_bytes)
        self.add(f"{prefix}_used_bytes", labels, space.used_bytes)
        self.add(f"{prefix}_inodes", labels, space.inodes)
        self.add(f"{prefix}_inodes_free", labels, space.inodes_free)


def _write_pod(sheet: _Sheet, told: Told[PodUsage]) -> None:
    usage = told.usage
    labels = usage.namespace, usage.name, told.node
    for container in usage.containers:
        own = usage.namespace, usage.name, container.name, told.node
        counter = told.cpu.get(container.name)
        sheet.add("container_cpu_usage_seconds", own, _seconds(counter.value if counter else None))
        sheet.add("container_memory_working_set_bytes", own, container.compute.memory_bytes)
        sheet.add("container_disk_usage_bytes", own, container.disk_bytes)
    sheet.add("pod_network_receive_bytes", labels, told.received.value)
    sheet.add("pod_network_transmit_bytes", labels, told.sent.value)
    sheet.add("pod_ephemeral_storage_usage_bytes", labels, usage.disk_bytes)


def _write_node(sheet: _Sheet, told: Told[NodeUsage]) -> None:
    usage, labels = told.usage, (told.node,)
    counter = told.cpu.get("")
    sheet.add("node_cpu_usage_seconds", labels, _seconds(counter.value if counter else None))
    sheet.add("node_memory_working_set_bytes", labels, usage.compute.memory_bytes)
    sheet.add("node_network_receive_bytes", labels, told.received.value)
    sheet.add("node_network_transmit_bytes", labels, told.sent.value)
    sheet.space("node_filesystem", (told.node, "root"), usage.root)
    sheet.space("node_filesystem", (told.node, "images"), usage.images)


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9
