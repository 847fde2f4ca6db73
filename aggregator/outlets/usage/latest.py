"""
The last thing that was told of each pod and node: taken in, aged, forgotten. Memory only, and no I/O.

A pod is named by namespace, name and node: one that a StatefulSet made anew elsewhere may still be told of by the node
that it left. What was not told of for FRESH_SECONDS is not shown any more; a pod that does not live by the journal is
not shown, whatever a kubelet says of it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

from aggregator.outlets.usage.ring import Ring
from aggregator.outlets.usage.shown import ToldPod, block_of, blocks_of, shown_of
from aggregator.outlets.usage.steady import SECOND, SteadyCounter
from aggregator.outlets.usage.whose import Register, Unknown
from kubescribe.wire.link import Usage
from kubescribe.wire.usage import Compute, Network, NodeUsage, PodUsage

FRESH_SECONDS = 60
FORGOTTEN_SECONDS = 900
MAX_PODS = 200_000
MAX_NODES = 20_000
MAX_CONTAINERS = 64
MAX_VOLUMES = 64
_NANOSECONDS_OF_CPU = 1_024 * SECOND
_NETWORK_BYTES = 10**11
"""A second, of a machine: more than any has."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
REFUSALS = ("name", "order", "elsewhere", "gone", "limit")
"""Why something that was told is not taken: `order` is a counter that fell or leapt."""

T = TypeVar("T", NodeUsage, PodUsage)


class Told(Generic[T]):
    """
    What was last told of a pod or a node; the counters are by container, "" for a node's own.

    `blocks` are the labels of its lines in /metrics as they stand there, by container, "" for its own: they are what
    writing a hundred thousand lines would otherwise cost most. `shown`, of a pod, is what a scrape needs of it, put
    together when it is told of: all of it is at hand then, and a scrape would look for the parts of all pods.
    """

    __slots__ = (
        *("blocks", "cpu", "node", "received", "ring", "seen_at"),
        *("sent", "shown", "source", "told_at", "usage"),
    )

    def __init__(self, node: str, usage: T, blocks: dict[str, str]) -> None:
        self.node = node
        self.usage: T = usage
        self.source = ""
        self.seen_at = 0
        """When it was last news, by our clock; what a source repeats is none."""
        self.told_at = 0
        self.blocks = blocks
        self.shown: ToldPod | None = None
        self.cpu: dict[str, SteadyCounter] = {}
        self.received = SteadyCounter()
        self.sent = SteadyCounter()
        self.ring = Ring()

    def is_fresh(self, now: int) -> bool:
        """Tell whether it may be shown."""
        return now - self.seen_at <= FRESH_SECONDS * SECOND


class Latest:
    """All of it. Every method is called in the loop and returns at once."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._pods: dict[tuple[str, str, str], Told[PodUsage]] = {}
        self._nodes: dict[str, Told[NodeUsage]] = {}
        self.refused: Counter[str] = Counter()
        self.has_heard = False
        """Whether any agent has told of usage since this process began."""

    def take(self, usage: Usage, now: int) -> None:
        """Take one message, received at *now*, ns."""
        self.has_heard = True
        for node in usage.nodes:
            self._take_node(usage.source, node, now)
        for pod in usage.pods:
            self._take_pod(usage, pod, now)

    def expire(self, now: int) -> None:
        """Forget what was not told of for long; call it now and then."""
        for table in (self._pods, self._nodes):
            for key in [key for key, told in table.items() if now - told.seen_at > FORGOTTEN_SECONDS * SECOND]:
                del table[key]  # type: ignore[arg-type]

    def pods(self, now: int) -> list[Told[PodUsage]]:
        """Return what is fresh, of pods that live; may be called in another thread."""
        oldest, find, gone = now - FRESH_SECONDS * SECOND, self._register.pod, Unknown.GONE
        uids = self._register.uids
        return [
            told
            for told in list(self._pods.values())
            if told.seen_at >= oldest
            and (
                uids.get(((usage := told.usage).namespace, usage.name)) == usage.uid  # nearly always
                or find(usage.namespace, usage.name, usage.uid) is not gone
            )
        ]

    def nodes(self, now: int) -> Iterator[Told[NodeUsage]]:
        """Yield what is fresh; may be called in another thread."""
        return (told for told in list(self._nodes.values()) if told.is_fresh(now))

    def last_seen(self, node: str) -> int:
        """Return when a node was last told of, ns, 0 for never."""
        return self._nodes[node].seen_at if node in self._nodes else 0

    def _take_node(self, source: str, usage: NodeUsage, now: int) -> None:
        if not _NAME.fullmatch(usage.name):
            self.refused["name"] += 1
            return
        told = self._nodes.get(usage.name)
        if told is None:
            if len(self._nodes) >= MAX_NODES:
                self.refused["limit"] += 1
                return
            block = block_of(("node",), (usage.name,))
            told = self._nodes[usage.name] = Told(usage.name, usage, {"": block})
        if self._is_second_hand(told, source, now) or not _is_news(told, source, _node_moment(usage), now):
            return
        told.usage, told.source = usage, source
        compute = usage.compute
        self._count(told.cpu.setdefault("", SteadyCounter()), compute, now)
        self._carry(told, usage.network, compute.started_at, now)
        told.ring.add(now, compute.cpu_nanocores, compute.memory_bytes)

    def _take_pod(self, usage: Usage, pod: PodUsage, now: int) -> None:
        if reason := self._objection(pod):
            self.refused[reason] += 1
            return
        known = self._register.pod(pod.namespace, pod.name, pod.uid)
        if known is Unknown.GONE:
            self.refused["gone"] += 1
            return
        # metrics.k8s.io does not tell the node, and the journal may not have been read yet.
        own_node = "" if known is Unknown.YET else known.node
        node = usage.node or own_node
        if usage.node and own_node not in ("", node):
            self.refused["elsewhere"] += 1  # what is told here is over, or was never so
        elif node and not _NAME.fullmatch(node):
            self.refused["name"] += 1
        elif node and (told := self._entry((pod.namespace, pod.name, node), usage.source, pod, now)) is not None:
            self._write(told, usage.source, pod, now)

    def _entry(self, key: tuple[str, str, str], source: str, pod: PodUsage, now: int) -> Told[PodUsage] | None:
        """Return where *pod* is to be written, None for nowhere."""
        told = self._pods.get(key)
        if told is not None and told.usage.uid != pod.uid and source == told.source:
            if told.is_fresh(now) and _started(told.usage) > _started(pod):
                return None  # its predecessor, which the kubelet has not cleaned up yet
            told = None
        if told is None:
            if len(self._pods) >= MAX_PODS and key not in self._pods:
                self.refused["limit"] += 1
                return None
            told = self._pods[key] = Told(key[2], pod, blocks_of(pod, key[2]))
        return told

    def _write(self, told: Told[PodUsage], source: str, pod: PodUsage, now: int) -> None:
        if self._is_second_hand(told, source, now) or not _is_news(told, source, _pod_moment(pod), now):
            return
        names = {container.name for container in pod.containers}
        if names != told.cpu.keys():
            told.blocks = blocks_of(pod, told.node)
            told.cpu = {name: counter for name, counter in told.cpu.items() if name in names}
        told.usage, told.source = pod, source
        for container in pod.containers:
            self._count(told.cpu.setdefault(container.name, SteadyCounter()), container.compute, now)
        self._carry(told, pod.network, 0, now)
        told.shown = shown_of(pod, told.blocks, told.cpu, received=told.received, sent=told.sent)
        told.ring.add(now, cpu_of(pod), memory_of(pod))

    def _objection(self, pod: PodUsage) -> str:
        if not _is_named(pod):
            return "name"
        if len(pod.containers) > MAX_CONTAINERS or len(pod.volumes) > MAX_VOLUMES:
            return "limit"
        return ""

    @staticmethod
    def _is_second_hand(told: Told[T], source: str, now: int) -> bool:
        """Tell whether a kubelet's word stands against that of metrics.k8s.io, which knows less."""
        return source == "metrics" and told.source == "kubelet" and told.is_fresh(now)

    def _count(self, counter: SteadyCounter, told: Compute, now: int) -> None:
        is_good = counter.take(
            told.cpu_nanoseconds,
            started_at=told.started_at,
            at=told.at or now,
            now=now,
            most_per_second=_NANOSECONDS_OF_CPU,
        )
        self.refused["order"] += not is_good

    def _carry(self, told: Told[T], network: Network | None, started_at: int, now: int) -> None:
        network = network or Network()
        for counter, value in ((told.received, network.received_bytes), (told.sent, network.sent_bytes)):
            is_good = counter.take(
                value, started_at=started_at, at=network.at or now, now=now, most_per_second=_NETWORK_BYTES
            )
            self.refused["order"] += not is_good


def cpu_of(pod: PodUsage) -> int | None:
    """Return the nanocores of all containers, None when none is told."""
    return _sum([container.compute.cpu_nanocores for container in pod.containers])


def memory_of(pod: PodUsage) -> int | None:
    """Return the working sets of all containers, bytes, None when none is told."""
    return _sum([container.compute.memory_bytes for container in pod.containers])


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return min(sum(known), 2**62) if known else None


def _is_named(pod: PodUsage) -> bool:
    containers = [container.name for container in pod.containers]
    claims = [volume.claim for volume in pod.volumes if volume.claim]
    names = (pod.namespace, pod.name, *containers, *claims)
    # A name that comes twice would be one series twice, and then Prometheus takes nothing at all.
    is_each_once = len(set(containers)) == len(containers)
    return is_each_once and len(pod.uid) <= 64 and all(_NAME.fullmatch(name) for name in names)


def _is_news(told: Told[T], source: str, told_at: int, now: int) -> bool:
    """Note that something was told; a source that repeats its own moment has nothing new."""
    if told_at and told_at == told.told_at and source == told.source:
        return False
    told.told_at, told.seen_at = told_at, now
    return True


def _node_moment(usage: NodeUsage) -> int:
    return max(usage.compute.at, usage.network.at if usage.network else 0)


def _pod_moment(usage: PodUsage) -> int:
    moments = [container.compute.at for container in usage.containers]
    return max([*moments, usage.network.at if usage.network else 0])


def _started(usage: PodUsage) -> int:
    return max((container.compute.started_at for container in usage.containers), default=0)
