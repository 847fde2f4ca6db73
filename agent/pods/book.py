"""
The pods that this agent has seen, by whatever a line tells of them, and the zones of nodes.

Fed by what the watch reports, at the cost of a look-up for a pod that is known. What is known of a pod is what was
first seen; a dead one is remembered for a day, since lines of it may still come. Readers may be in any thread: each
look-up is one of a dict. A stream of pods is `whole` when all that it has to tell is here: a list of it ended while the
book was shown everything. Not for the disk: see keeping.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping

import msgspec

from agent.pods.ending import Ended, containers_that_ran
from kubescribe.labels.nodes import zone_in
from kubescribe.labels.pods import PodFacts, container_ids, pod_facts
from kubescribe.wire.records import Change

DEAD_SECONDS = 24 * 3600
MAX_DEAD = 20_000
"""Pods of two seconds, for eleven hours; at 600 bytes each, 12 MB."""

UNSEEN_SECONDS = 7 * 24 * 3600
"""A pod that an earlier life knew, and of which this one has seen no version: quiet, or gone in between."""

_MAX_BEARERS = 8
"""Pods of one name, of a StatefulSet that is evicted again and again."""

_LAST_PHASES = (b'"phase":"Succeeded"', b'"phase":"Failed"')
"""As the API server writes them. A pod does not leave these, and its containers have ended before it gets there."""

_MAX_UNREAD_BODIES = 1024
_MAX_ENDED = 4096
_SECOND = 1_000_000_000


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is kept of a pod across restarts; `dead_at` is 0 while it lives."""

    pod: PodFacts
    dead_at: int = 0
    containers: tuple[str, ...] = ()


class PodBook:
    """
    Pods and zones. `news` are the uids and nodes that changed since they were taken, for whoever keeps them.

    For *first_list_seconds* the first list of pods is worth waiting for, for *zone_seconds* after the first Welcome the
    zone of a node that was not in it; *clock* is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        now_ns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        first_list_seconds: float = 0.0,
        zone_seconds: float = 0.0,
        max_dead: int = MAX_DEAD,
    ) -> None:
        self._now_ns = now_ns
        self._clock = clock
        self._list_due = clock() + first_list_seconds
        self._zone_seconds = zone_seconds
        self._max_dead = max_dead
        self._pods: dict[str, PodFacts] = {}
        self._by_file: dict[str, PodFacts] = {}
        self._by_name: dict[tuple[str, str], tuple[PodFacts, ...]] = {}
        self._by_container: dict[str, PodFacts] = {}
        self._containers: dict[str, tuple[str, ...]] = {}
        self._over: set[str] = set()
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._unseen: OrderedDict[str, int] = OrderedDict()
        self._zones: dict[str, str] = {}
        self._are_zones_told = False
        self._zones_due: float | None = None
        # Bodies whose container ids nobody has asked for yet: finding them costs as much as the rest of a change.
        self._unread: dict[str, bytes] = {}
        self._ended: deque[Ended] = deque(maxlen=_MAX_ENDED)
        self._listing: set[str] = set()
        self.whole: set[str] = set()
        """The streams that told all of their pods."""
        self.news: set[str] = set()
        self.are_zones_news = False
        self.is_whole_news = False

    def observe(self, change: Change) -> None:
        """Take what a watch reports."""
        if change.kind == "Pod":
            self._observe_pod(change)
        elif change.kind == "Node" and not self._zones.get(change.name):
            self._observe_node(change)

    def pass_mark(self, stream: str, *, is_listing: bool) -> None:
        """Take where *stream* stands after what was observed of it: within a list or not."""
        if stream.partition("/")[0] != "pods":
            return
        if is_listing:
            self._listing.add(stream)
        elif stream in self._listing:
            self._listing.discard(stream)
            self.is_whole_news = self.is_whole_news or stream not in self.whole
            self.whole.add(stream)

    def welcome(self, zones: Mapping[str, str]) -> None:
        """Take the zones that the aggregator knows; it may tell of more when it learns of them."""
        if self._zones_due is None:
            # Who was told in an earlier life has waited then.
            self._zones_due = self._clock() + (0.0 if self._are_zones_told else self._zone_seconds)
        if not self._are_zones_told or any(self._zones.get(node) != zone for node, zone in zones.items()):
            self.are_zones_news = True
        self._zones.update(zones)
        self._are_zones_told = True

    # Looking up.

    def of_uid(self, uid: str) -> PodFacts | None:
        """Return the pod with *uid* in the API."""
        return self._pods.get(uid)

    def of_file(self, uid: str) -> PodFacts | None:
        """Return the pod whose files carry *uid*, which of a static pod is not the one in the API."""
        return self._by_file.get(uid) or self._pods.get(uid)

    def is_over(self, file_uid: str) -> bool:
        """Tell whether no container will ever write again of the pod whose files carry *file_uid*."""
        return file_uid in self._over

    def of_name(self, namespace: str, name: str) -> PodFacts | None:
        """Return the pod that had this name last."""
        return next(iter(self.bearers(namespace, name)), None)

    def bearers(self, namespace: str, name: str) -> tuple[PodFacts, ...]:
        """Return the pods that had this name, the last one first."""
        return self._by_name.get((namespace, name), ())

    def of_container(self, container_id: str) -> PodFacts | None:
        """Return the pod that has, or had, a container with that id, hexadecimal and whole."""
        found = self._by_container.get(container_id)
        if found is None and self._unread:
            self._read_bodies()
            found = self._by_container.get(container_id)
        return found

    def zone_of(self, node: str) -> str | None:
        """Return the zone of *node*, "" for one that has none as far as anybody knows, None when it is not told yet."""
        zone = self._zones.get(node)
        return "" if zone is None and self._zones_due is not None and not self.is_zone_coming(node) else zone

    def is_zone_coming(self, node: str) -> bool:
        """Tell whether the aggregator is there and may yet learn of *node*: what is named for ever waits for it."""
        return (
            bool(node) and node not in self._zones and self._zones_due is not None and self._clock() < self._zones_due
        )

    def is_list_coming(self) -> bool:
        """Tell whether no stream of pods is whole yet, and the first list is not overdue."""
        return not self.whole and self._clock() < self._list_due

    def take_ended(self, before: int) -> list[Ended]:
        """Return the pods of whose end was told before that moment, each once; the last 4,096 at most."""
        taken = []
        while self._ended and self._ended[0].told_at < before:
            taken.append(self._ended.popleft())
        return taken

    # Keeping.

    def restore(self, pages: Mapping[str, Page], zones: Mapping[str, str] | None, whole: Collection[str] = ()) -> None:
        """Take what an earlier life knew."""
        # The dead before the living, in the order of their deaths: a name is its last bearer's.
        for uid, page in sorted(pages.items(), key=lambda it: (not it[1].dead_at, it[1].dead_at)):
            self._add(page.pod)
            self._note_containers(page.pod, page.containers)
            # One that died while the agent was away may never be told of: it is not remembered for ever.
            ages, at = (self._dead, page.dead_at) if page.dead_at else (self._unseen, self._now_ns())
            ages[uid] = at
        if zones is not None:
            self._zones.update(zones)
            self._are_zones_told = True
        self.whole.update(whole)
        self.news.clear()

    def page(self, uid: str) -> Page | None:
        """Return what is to be kept of the pod *uid*, None for one that is forgotten."""
        pod = self._pods.get(uid)
        if pod is None:
            return None
        return Page(pod=pod, dead_at=self._dead.get(uid, 0), containers=self._containers.get(uid, ()))

    def zones(self) -> dict[str, str] | None:
        """Return what is to be kept of zones, None as long as nobody has told."""
        return dict(self._zones) if self._are_zones_told or self._zones else None

    def uids(self) -> list[str]:
        """Return the uid of every pod that is known."""
        return list(self._pods)

    def forget_old(self) -> None:
        """Forget who has been dead for a day, and the longest dead beyond what is remembered; call it now and then."""
        if self._unread:
            self._read_bodies()
        for ages, seconds in ((self._dead, DEAD_SECONDS), (self._unseen, UNSEEN_SECONDS)):
            limit = self._now_ns() - seconds * _SECOND
            while ages:
                uid, since = next(iter(ages.items()))
                if since > limit and len(ages) <= self._max_dead:
                    break
                del ages[uid]
                self._forget(uid)

    def _observe_node(self, change: Change) -> None:
        zone = zone_in(change.body)
        if zone is not None and self._zones.get(change.name) != zone:
            self._zones[change.name] = zone
            self.are_zones_news = True

    def _observe_pod(self, change: Change) -> None:
        known = self._pods.get(change.uid)
        if known is None or (not known.node and change.node):
            try:
                known = pod_facts(change.body)
            except (ValueError, msgspec.MsgspecError):
                # The object was too large to be reported whole; its name is known all the same.
                known = PodFacts(
                    namespace=change.namespace, name=change.name, uid=change.uid, node=change.node, is_guessed=True
                )
            self._add(known)
        self._unseen.pop(change.uid, None)
        # The files of a static pod are also those of its next mirror.
        if known.file_uid == known.uid and any(phase in change.body for phase in _LAST_PHASES):
            self._over.add(known.uid)
        if change.gone and change.uid not in self._dead:
            now = self._dead[change.uid] = self._now_ns()
            self.news.add(change.uid)
            if containers := containers_that_ran(change.body):
                self._ended.append(Ended(pod=known, containers=containers, told_at=now))
        self._unread[change.uid] = change.body
        if len(self._unread) > _MAX_UNREAD_BODIES:
            self._read_bodies()

    def _add(self, pod: PodFacts) -> None:
        self._pods[pod.uid] = pod
        if pod.file_uid != pod.uid:
            self._by_file[pod.file_uid] = pod
        others = [it for it in self.bearers(pod.namespace, pod.name) if it.uid != pod.uid]
        self._by_name[pod.namespace, pod.name] = (pod, *others[: _MAX_BEARERS - 1])
        self.news.add(pod.uid)

    def _read_bodies(self) -> None:
        bodies, self._unread = self._unread, {}
        for uid, body in bodies.items():
            if (pod := self._pods.get(uid)) is not None:
                known = self._containers.get(uid, ())
                new = container_ids(body).difference(known)
                if new:
                    self._note_containers(pod, (*known, *sorted(new)))
                    self.news.add(uid)

    def _note_containers(self, pod: PodFacts, containers: tuple[str, ...]) -> None:
        # A container that restarts for days has a new id each time; the last ones are enough.
        kept = containers[-64:]
        for container in containers[:-64]:
            self._by_container.pop(container, None)
        self._containers[pod.uid] = kept
        for container in kept:
            self._by_container[container] = pod

    def _forget(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        self._by_file.pop(pod.file_uid, None)
        self._over.discard(uid)
        name = (pod.namespace, pod.name)
        self._by_name[name] = tuple(it for it in self._by_name.get(name, ()) if it is not pod)
        if not self._by_name[name]:
            del self._by_name[name]
        for container in self._containers.pop(uid, ()):
            self._by_container.pop(container, None)
        self.news.add(uid)
