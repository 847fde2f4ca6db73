"""
The families of usage for /metrics: what is fresh, and nothing of what is not. No series outlives its pod.

Their names begin with `kubescribe_`, so that they stand beside cAdvisor's and kube-state-metrics'. Where no agent tells
of usage (profile beside) there are none. A family has a limit of label sets: what was told of last is left out then,
and counted; a gauge of one pod cannot be folded into `other`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.census.families import Family
from aggregator.outlets.usage.latest import REFUSALS, Latest, Told
from aggregator.outlets.usage.pages import OF_CONTAINERS, OF_PODS, Page, Pages, Volume, value_of
from aggregator.outlets.usage.shown import block_of, labels_in, seconds_of
from aggregator.outlets.usage.steady import SECOND
from kubescribe.runtime.exposition import CHUNK_ROWS, Row, TableFamily
from kubescribe.runtime.packing import Fragment
from kubescribe.runtime.turns import SHORT_TURNS
from kubescribe.wire.usage import NodeUsage, Space

MAX_SERIES = 200_000

_SCRAPED_SECONDS = 300
"""For so long after a scrape the next one is prepared; any scrape interval is shorter."""

T = TypeVar("T")

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


class _Rows(Protocol):
    """How a family is told."""

    def rows(self) -> Rows: ...

    def lines(self, name: str) -> Iterator[str | Fragment]: ...

    def count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """The rows of the family *name* of containers or pods, of which most are text already."""

    pages: Sequence[Page]
    name: str

    def count(self) -> int:
        return sum(page.lines(self.name).count for page in self.pages)

    def rows(self) -> Rows:
        value_in = value_of(self.name)
        return [
            (labels_in(it.block), value)
            for page in self.pages
            for it in page.things(self.name)
            if (value := value_in(it)) is not None
        ]

    def lines(self, _: str) -> Iterator[Fragment]:
        """Give the rows as text, a node at a time."""
        return (lines.fragment for page in self.pages if (lines := page.lines(self.name)).count)


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    """
    How the rows of a family are made: one of each of *things* that has a value.

    *block* gives a thing's labels as they stand in a line behind the family's name, *values* the values of some
    things in their order.
    """

    things: Sequence[T]
    block: Callable[[T], str]
    values: Callable[[Sequence[T]], Iterable[float | None]]

    def count(self) -> int:
        return len(self.things)  # at most

    def rows(self) -> Rows:
        values = self.values(self.things)
        return [
            (labels_in(self.block(thing)), value)
            for thing, value in zip(self.things, values, strict=True)
            if value is not None
        ]

    def lines(self, name: str) -> Iterator[str]:
        """Give the rows as text, some at a time."""
        for start in range(0, len(self.things), CHUNK_ROWS):
            some = self.things[start : start + CHUNK_ROWS]
            valued = zip(map(self.block, some), self.values(some), strict=True)
            yield "".join([f"{name}{block}{value!r}\n" for block, value in valued if value is not None])


class UsageCollector(Collector):
    """A prometheus_client collector over *latest*; `collect` may run in any thread."""

    def __init__(
        self, latest: Latest, *, now_ns: Callable[[], int], limits: Callable[[str], int] | None = None
    ) -> None:
        self._latest = latest
        self._now_ns = now_ns
        self._limits = limits or (lambda name: USAGE[name].max_series)
        self._pages = Pages(latest)
        self._read_at = 0

    def told(self, node: str) -> bool:
        """Note that *node* has told of its pods; return whether somebody scrapes, so that their lines are made now."""
        now = self._now_ns()
        is_scraped = bool(node) and now - self._read_at <= _SCRAPED_SECONDS * SECOND
        # Packing gives Python's lock away a dozen times, and while a scrape is written the loop would wait for each.
        if is_scraped and not SHORT_TURNS.is_open:
            self._pages.write(node, now)
        return is_scraped

    def collect(self) -> Iterator[Metric]:
        """Yield every family, none before any agent has told of usage; read them in their order, once."""
        if not self._latest.has_heard:
            return
        self._read_at = now = self._now_ns()
        beyond: Counter[str] = Counter()
        pages = self._pages.look(now)
        makers: dict[str, _Rows] = {
            **_of_pages(pages),
            **_of_spaces("volume", _VOLUME, _volumes(pages)),
            **_of_nodes(list(self._latest.nodes(now))),
        }
        for name, family in USAGE.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            made, limit = makers[name], self._limits(name)
            yield TableFamily(
                f"kubescribe_{name.removesuffix('_total')}",
                family.text,
                kind,
                family.labels,
                partial(_cut, made.rows, limit, beyond, name),
                lines=partial(made.lines, f"kubescribe_{name}") if made.count() <= limit else None,
            )
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


def _of_pages(pages: Sequence[Page]) -> dict[str, "_Kept"]:
    return {name: _Kept(pages, name) for name in (*OF_CONTAINERS, *OF_PODS)}


def _of_nodes(nodes: list[Told[NodeUsage]]) -> dict[str, _Made[Any]]:
    def made(values: Callable[[Sequence[Told[NodeUsage]]], Iterable[float | None]]) -> _Made[Told[NodeUsage]]:
        return _Made(nodes, lambda it: it.blocks[""], values)

    return {
        "node_cpu_usage_seconds_total": made(lambda some: [seconds_of(it.cpu.get("")) for it in some]),
        "node_memory_working_set_bytes": made(lambda some: [it.usage.compute.memory_bytes for it in some]),
        "node_network_receive_bytes_total": made(lambda some: [it.received.value for it in some]),
        "node_network_transmit_bytes_total": made(lambda some: [it.sent.value for it in some]),
        **_of_spaces("node_filesystem", _DISK, _disks(nodes)),
    }


_Space = tuple[tuple[str, ...], Space]


def _of_spaces(prefix: str, names: tuple[str, ...], spaces: list[_Space]) -> dict[str, _Made[Any]]:
    things = [(block_of(names, labels), space) for labels, space in spaces]

    def made(field: str) -> _Made[tuple[str, Space]]:
        value = attrgetter(field)
        return _Made(things, itemgetter(0), lambda some: [value(space) for _, space in some])

    fields = ("capacity_bytes", "available_bytes", "used_bytes", "inodes", "inodes_free")
    return {f"{prefix}_{field}": made(field) for field in fields}


def _volumes(pages: Iterable[Page]) -> list[_Space]:
    """Return each claim's volume once: of several pods that mount it, the newest word."""
    newest: dict[tuple[str, ...], Volume] = {}
    for page in pages:
        for volume in page.volumes:
            former = newest.get(volume.claim)
            if former is None or former.seen_at <= volume.seen_at:
                newest[volume.claim] = volume
    return [(key, volume.space) for key, volume in newest.items()]


def _disks(nodes: list[Told[NodeUsage]]) -> list[_Space]:
    disks = [((it.node, "root"), it.usage.root) for it in nodes]
    disks += [((it.node, "images"), it.usage.images) for it in nodes]
    return [(labels, space) for labels, space in disks if space is not None]
