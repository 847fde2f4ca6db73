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

import msgspec

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

Names = tuple[str | int, ...]


class Told(msgspec.Struct, Generic[T], gc=False, eq=False):
    """
    What was last told of a pod or a node; the counters are by container, "" for a node's own.

    `blocks` are the labels of its lines in /metrics as they stand there, by container, "" for its own: they are what
    writing a hundred thousand lines would otherwise cost most. `shown`, of a pod, is what a scrape needs of it, put
    together when it is told of: all of it is at hand then, and a scrape would look for the parts of all pods.
    """

    node: str
    usage: T
    blocks: dict[str, str]
    names: Names = ()
    """What was looked at already: as long as its pod is told of by these, its names are in order."""
    source: str = ""
    seen_at: int = 0
    """When it was last news, by our clock; what a source repeats is none."""
    told_at: int = 0
    shown: ToldPod | None = None
    cpu: dict[str, SteadyCounter] = msgspec.field(default_factory=dict)
    received: SteadyCounter = msgspec.field(default_factory=SteadyCounter)
    sent: SteadyCounter = msgspec.field(default_factory=SteadyCounter)
    ring: Ring = msgspec.field(default_factory=Ring)

    def is_fresh(self, now: int) -> bool:
        """Tell whether it may be shown."""
        return now - self.seen_at <= FRESH_SECONDS * SECOND


class PodsOf:
    """The pods of one node, by namespace and name; `version` is another whenever something was told of one."""

    __slots__ = ("told", "version")

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], Told[PodUsage]] = {}
        self.version = 0


class Latest:
    """All of it. Every method is called in the loop and returns at once."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self._pods: dict[str, PodsOf] = {}
        self._count_of_pods = 0
        self._nodes: dict[str, Told[NodeUsage]] = {}
        self.refused: Counter[str] = Counter()
        self.has_heard = False
        """Whether any agent has told of usage since this process began."""

    def take(self, usage: Usage, now: int) -> None:
        """Take one message, received at *now*, ns."""
        self.has_heard = True
        for node in usage.nodes:
            self._take_node(usage.source, node, now)
        touched: set[PodsOf] = set()
        for pod in usage.pods:
            if (own := self._take_pod(usage, pod, now)) is not None:
                touched.add(own)
        # Last: who read of one in another thread meanwhile has made something of the former version.
        for own in touched:
            own.version += 1

    def expire(self, now: int) -> None:
        """Forget what was not told of for long; call it now and then."""
        oldest = now - FORGOTTEN_SECONDS * SECOND
        for name in [name for name, told in self._nodes.items() if told.seen_at < oldest]:
            del self._nodes[name]
        for node, own in list(self._pods.items()):
            for key in [key for key, told in own.told.items() if told.seen_at < oldest]:
                del own.told[key]
                self._count_of_pods -= 1
            if not own.told:
                del self._pods[node]

    def by_node(self) -> list[tuple[str, PodsOf]]:
        """Return the pods that anything is known of, by node; may be called in another thread."""
        return list(self._pods.items())

    def of_node(self, node: str) -> PodsOf | None:
        """Return the pods that a node told of, None where there are none."""
        return self._pods.get(node)

    def pods(self, now: int) -> list[Told[PodUsage]]:
        """Return what is fresh, of pods that live; may be called in another thread."""
        oldest, find, gone = now - FRESH_SECONDS * SECOND, self.register.pod, Unknown.GONE
        uids = self.register.uids
        return [
            told
            for own in list(self._pods.values())
            for told in list(own.told.values())
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
        self._carry(told, usage.network or _NO_NETWORK, compute.started_at, now)
        told.ring.add(now, compute.cpu_nanocores, compute.memory_bytes)

    def _take_pod(self, usage: Usage, pod: PodUsage, now: int) -> PodsOf | None:
        """Take what is told of one pod; return those of its node when it was taken."""
        own = self._pods.get(usage.node)
        told = own.told.get((pod.namespace, pod.name)) if own is not None else None
        names = _names_of(pod)
        if (told is None or told.names != names) and (reason := self._objection(pod)):
            self.refused[reason] += 1
            return None
        known = self.register.pod(pod.namespace, pod.name, pod.uid)
        if known is Unknown.GONE:
            self.refused["gone"] += 1
            return None
        # metrics.k8s.io does not tell the node, and the journal may not have been read yet.
        own_node = "" if known is Unknown.YET else known.node
        node = usage.node or own_node
        if usage.node and own_node not in ("", node):
            self.refused["elsewhere"] += 1  # what is told here is over, or was never so
        elif node and told is None and not _NAME.fullmatch(node):
            self.refused["name"] += 1
        elif own is not None and told is not None and told.names == names:
            self._write(told, names, usage.source, pod, now)  # nearly always: one that was told of before
            return own
        elif node:
            own = self._pods.get(node) or self._pods.setdefault(node, PodsOf())
            if (told := self._entry(own, node, usage.source, pod, now)) is not None:
                self._write(told, names, usage.source, pod, now)
                return own
        return None

    def _entry(self, own: PodsOf, node: str, source: str, pod: PodUsage, now: int) -> Told[PodUsage] | None:
        """Return where *pod* is to be written, None for nowhere."""
        key = pod.namespace, pod.name
        told = own.told.get(key)
        if told is not None and told.usage.uid != pod.uid and source == told.source:
            if told.is_fresh(now) and _started(told.usage) > _started(pod):
                return None  # its predecessor, which the kubelet has not cleaned up yet
            told = None
        if told is None:
            if key not in own.told:
                if self._count_of_pods >= MAX_PODS:
                    self.refused["limit"] += 1
                    return None
                self._count_of_pods += 1
            told = own.told[key] = Told(node, pod, blocks_of(pod, node))
        return told

    def _write(self, told: Told[PodUsage], names: Names, source: str, pod: PodUsage, now: int) -> None:
        if self._is_second_hand(told, source, now) or not _is_news(told, source, _pod_moment(pod), now):
            return
        if names != told.names:
            told.names, told.blocks = names, blocks_of(pod, told.node)
            cpu = told.cpu
            told.cpu = {it.name: cpu.get(it.name) or SteadyCounter() for it in pod.containers}
        told.usage, told.source = pod, source
        for container in pod.containers:
            self._count(told.cpu[container.name], container.compute, now)
        self._carry(told, pod.network or _NO_NETWORK, 0, now)
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
        if not counter.take(told.cpu_nanoseconds, told.started_at, told.at or now, now, _NANOSECONDS_OF_CPU):
            self.refused["order"] += 1

    def _carry(self, told: Told[T], network: Network, started_at: int, now: int) -> None:
        at = network.at or now
        if not told.received.take(network.received_bytes, started_at, at, now, _NETWORK_BYTES):
            self.refused["order"] += 1
        if not told.sent.take(network.sent_bytes, started_at, at, now, _NETWORK_BYTES):
            self.refused["order"] += 1


_NO_NETWORK = Network()


def cpu_of(pod: PodUsage) -> int | None:
    """Return the nanocores of all containers, None when none is told."""
    containers = pod.containers
    if len(containers) == 1:
        return containers[0].compute.cpu_nanocores
    return _sum([container.compute.cpu_nanocores for container in containers])


def memory_of(pod: PodUsage) -> int | None:
    """Return the working sets of all containers, bytes, None when none is told."""
    containers = pod.containers
    if len(containers) == 1:
        return containers[0].compute.memory_bytes
    return _sum([container.compute.memory_bytes for container in containers])


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return min(sum(known), 2**62) if known else None


def _names_of(pod: PodUsage) -> Names:
    """Return every name by which *pod* is told of; no other names of other kinds look the same."""
    if not pod.volumes:  # nearly always
        return (pod.uid, *[it.name for it in pod.containers])
    return (pod.uid, len(pod.containers), *[it.name for it in pod.containers], *[it.claim for it in pod.volumes])


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
    moment = usage.network.at if usage.network else 0
    for container in usage.containers:
        moment = max(container.compute.at, moment)
    return moment


def _started(usage: PodUsage) -> int:
    return max((container.compute.started_at for container in usage.containers), default=0)
