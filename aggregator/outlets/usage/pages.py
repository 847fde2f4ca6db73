"""
What the pods of a node use as text that is kept: made when the node tells, told until something about it is other.

A page says nothing that does not follow from what was told of its pods, from the moment and from which of them live.
All three are looked at before it is told again, so nobody has to remember to throw one away.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter

import msgspec

from aggregator.outlets.usage.latest import FRESH_SECONDS, Latest, PodsOf, Told
from aggregator.outlets.usage.shown import ToldContainer, ToldPod
from aggregator.outlets.usage.steady import SECOND
from aggregator.outlets.usage.whose import Register, Unknown
from kubescribe.runtime.packing import Fragment, packed
from kubescribe.wire.usage import PodUsage, Space

Name = tuple[str, str]
Value = Callable[[ToldPod | ToldContainer], float | None]

OF_CONTAINERS: dict[str, Value] = {
    "container_cpu_usage_seconds_total": attrgetter("cpu_seconds"),
    "container_memory_working_set_bytes": attrgetter("memory_bytes"),
    "container_disk_usage_bytes": attrgetter("disk_bytes"),
}
OF_PODS: dict[str, Value] = {
    "pod_network_receive_bytes_total": attrgetter("received_bytes"),
    "pod_network_transmit_bytes_total": attrgetter("sent_bytes"),
    "pod_ephemeral_storage_usage_bytes": attrgetter("disk_bytes"),
}
"""The families that pages tell, and where each has its values from."""


class Lines(msgspec.Struct, frozen=True, gc=False):
    """The lines of one family, and how many they are."""

    count: int
    fragment: Fragment


class Volume(msgspec.Struct, frozen=True, gc=False):
    """What a pod's kubelet said of the volume of a claim, and when."""

    claim: Name
    seen_at: int
    space: Space


class Page:
    """What is shown of the pods of one node; *own* of *register*, as of *now*."""

    __slots__ = ("_is_complete", "_lines", "_names", "_odd", "_oldest", "_uids", "_version", "pods", "volumes")

    def __init__(self, own: PodsOf, register: Register, now: int) -> None:
        # Before anything is read: what changes meanwhile makes this page one of former times.
        self._version, self._is_complete = own.version, register.is_complete
        oldest = now - FRESH_SECONDS * SECOND
        named = [(name, told) for name, told in list(own.told.items()) if told.seen_at >= oldest]
        fresh = [told for _, told in named]
        self._oldest = min([told.seen_at for told in fresh], default=now)
        self._names = [name for name, _ in named]
        self._uids = list(map(register.uids.get, self._names))
        # Of nearly all the journal knows the very uid that was told; the others have to be asked for.
        others = [it for it, uid in zip(fresh, self._uids, strict=True) if it.usage.uid != uid]
        self._odd = [(told, _is_gone(told, register)) for told in others]
        gone = {id(told) for told, is_gone in self._odd if is_gone}
        living = [told for told in fresh if id(told) not in gone] if gone else fresh
        self.pods: list[ToldPod] = [told.shown for told in living if told.shown is not None]
        self.volumes = [
            Volume((told.usage.namespace, volume.claim), told.seen_at, volume.space)
            for told in living
            if told.usage.volumes
            for volume in told.usage.volumes
            if volume.claim
        ]
        self._lines: dict[str, Lines] = {}

    def is_true(self, own: PodsOf, register: Register, now: int) -> bool:
        """Tell whether a page of *own* made *now* would say the same."""
        return (
            self._version == own.version
            and now - self._oldest <= FRESH_SECONDS * SECOND
            and self._is_complete == register.is_complete
            and list(map(register.uids.get, self._names)) == self._uids
            and all(_is_gone(told, register) == is_gone for told, is_gone in self._odd)
        )

    def lines(self, name: str) -> Lines:
        """Return its lines in the family *name*."""
        found = self._lines.get(name)
        if found is None:
            found = self._lines[name] = _lines(name, self.things(name), value_of(name))
        return found

    def things(self, name: str) -> Iterable[ToldPod | ToldContainer]:
        """Return what the family *name* has a line of."""
        return [it for pod in self.pods for it in pod.containers] if name in OF_CONTAINERS else self.pods

    def write(self) -> None:
        """Make all of its lines, while what they are made from is at hand."""
        for names in (OF_CONTAINERS, OF_PODS):
            things = self.things(next(iter(names)))
            for name, value_in in names.items():
                self._lines[name] = _lines(name, things, value_in)


class Pages:
    """The pages that were made; looks may be taken in any thread, several at once."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest
        self._register = latest.register
        self._pages: dict[str, Page] = {}

    def write(self, node: str, now: int) -> None:
        """Make the page of *node* anew, which has just told."""
        own = self._latest.of_node(node)
        if own is not None:
            page = Page(own, self._register, now)
            page.write()
            self._pages[node] = page

    def look(self, now: int) -> list[Page]:
        """Return the page of each node."""
        former, pages = self._pages, {}
        for node, own in self._latest.by_node():
            page = former.get(node)
            if page is None or not page.is_true(own, self._register, now):
                page = former[node] = Page(own, self._register, now)
            pages[node] = page
        for node in set(former) - set(pages):
            former.pop(node, None)
        return list(pages.values())


def value_of(name: str) -> Value:
    """Return where the family *name* has its values from."""
    return OF_CONTAINERS.get(name) or OF_PODS[name]


def _is_gone(told: Told[PodUsage], register: Register) -> bool:
    usage = told.usage
    return register.pod(usage.namespace, usage.name, usage.uid) is Unknown.GONE


def _lines(name: str, things: Iterable[ToldPod | ToldContainer], value_in: Value) -> Lines:
    start = f"kubescribe_{name}"
    lines = [f"{start}{it.block}{value!r}\n" for it in things if (value := value_in(it)) is not None]
    return Lines(len(lines), packed("".join(lines).encode()))
