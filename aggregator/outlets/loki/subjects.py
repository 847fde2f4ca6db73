"""
Under which names an entry goes: the pod's or the workload's own, as the journal knows them, dead ones too.

A pod is named from the first version that the journal has of it, so that the same entry is the same bytes whenever it
is made; what changes in its life (its node) comes from the record itself. The node's zone never changes; a Node that
the journal does not know has none.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from aggregator.records import ObjectQuery, Page, RecordQuery, Transition
from kubescribe.labels.enriching import Names, NodeFacts, enrich
from kubescribe.labels.names import label_value
from kubescribe.labels.nodes import zone_in
from kubescribe.labels.objects import names_of_object
from kubescribe.labels.pods import PodFacts, guessed_pod, pod_facts

_CACHED = 5_000

WAIT_SECONDS = 5.0
"""How long an Event waits for the pod that it is about: another watch brings it, seldom more than a second later."""

_LOOK_SECONDS = 0.25
_ZONE_SECONDS = 300.0
"""How long a node's zone is remembered: a name may come again in another zone, behind another machine."""

_NO_ZONE_SECONDS = 10.0
"""The same of one that has none, or that nobody has told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The stream labels (but `stream`) and the structured metadata of what an entry is about."""

    labels: Mapping[str, str]
    metadata: Mapping[str, str]


class Reader(Protocol):
    """The part of the journal that names are read from."""

    async def history(self, uid: str, query: RecordQuery) -> Page | None:
        """Return the versions of one object."""
        ...

    async def objects(self, query: ObjectQuery) -> Page:
        """Return objects."""
        ...

    async def transitions(self, seqs: Collection[int]) -> dict[int, Transition]:
        """Return the object before and after each change."""
        ...


class _Named(msgspec.Struct, gc=False):
    uid: str
    body: msgspec.Raw = msgspec.Raw(b"")


class _Numbered(msgspec.Struct, gc=False):
    seq: int


_NAMED = msgspec.json.Decoder(_Named)
_NUMBERED = msgspec.json.Decoder(_Numbered)


class Subjects:
    """Looks names up and remembers some thousand of them. `cluster` is asked each time: it is told by the agents."""

    def __init__(self, journal: Reader, *, cluster: Callable[[], str], now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._cluster = cluster
        self._now_ns = now_ns
        self._pods: OrderedDict[str, PodFacts] = OrderedDict()
        self._zones: dict[str, tuple[str, int]] = {}

    async def of_pod(
        self,
        uid: str,
        namespace: str,
        name: str,
        *,
        container: str = "",
        restart: int | None = None,
        node: str = "",
        since: int = 0,
    ) -> Subject:
        """
        Return the names of a pod, guessed from its name where the journal does not know it.

        *since* is when its record was committed (ns): a pod that is not there yet is waited for until WAIT_SECONDS
        after it. Raises StoreError.
        """
        facts = await self._pod(uid, namespace, name, since)
        where = NodeFacts(cluster=self._cluster(), node=node, zone=await self._zone(node or facts.node))
        found = enrich(facts, container=container, restart=restart, node=where)
        metadata = dict(found.metadata)
        if node:
            metadata["node"] = node
        if not container:
            metadata.pop("image", None)
        return Subject(labels=found.labels, metadata=metadata)

    async def of_object(self, kind: str, uid: str, namespace: str, name: str) -> Subject:
        """Return the names of an object that is no pod, from what the journal knows of it now. Raises StoreError."""
        body = await self._version(uid, kind, is_first=False) if uid else None
        subject = self.named(kind, namespace, name, body)
        if kind != "Node":
            return subject
        # Not from *body*: a kubelet gives its Node's name for the uid.
        return Subject(labels=subject.labels, metadata={**subject.metadata, "zone": await self._zone(name)})

    def named(self, kind: str, namespace: str, name: str, body: bytes | None) -> Subject:
        """Return the names of the object that *body* is."""
        try:
            names = names_of_object(kind, name, body, is_namespaced=bool(namespace))
        except ValueError:
            names = names_of_object(kind, name, is_namespaced=bool(namespace))
        return Subject(labels=self._labels(namespace, names), metadata=_metadata(kind, name, names))

    def _labels(self, namespace: str, names: Names) -> dict[str, str]:
        labels = {
            "cluster": self._cluster(),
            "namespace": namespace,
            "service_name": names.service_name,
            "application": names.application,
            "workload_kind": names.workload_kind,
            "workload": names.workload,
        }
        return {label: kept for label, value in labels.items() if (kept := label_value(value))}

    async def _pod(self, uid: str, namespace: str, name: str, since: int) -> PodFacts:
        if uid and (known := self._pods.get(uid)) is not None:
            self._pods.move_to_end(uid)
            return known
        while (found := await self._find(uid, namespace, name)) is None:
            if self._now_ns() - since >= WAIT_SECONDS * 1e9:
                return guessed_pod(namespace, name, uid)
            await asyncio.sleep(_LOOK_SECONDS)
        if uid:
            self._pods[uid] = found
        if len(self._pods) > _CACHED:
            self._pods.popitem(last=False)
        return found

    async def _find(self, uid: str, namespace: str, name: str) -> PodFacts | None:
        body = await self._version(uid, "Pod", is_first=True) if uid else None
        if body is None:
            # A static pod's Events name the uid that the kubelet gave it; the API knows its mirror by another.
            query = ObjectQuery(kind="Pod", namespace=namespace, name=name, include_deleted=True, limit=1)
            page = await self._journal.objects(query)
            if not page.items:
                return None
            mirror = await self._version(_NAMED.decode(page.items[0]).uid, "Pod", is_first=True)
            facts = _facts(mirror)
            return facts if facts is not None and uid in {"", facts.file_uid} else None
        return _facts(body)

    async def _zone(self, node: str) -> str:
        if not node:
            return ""
        known = self._zones.get(node)
        if known is not None and self._now_ns() < known[1]:
            return known[0]
        zone = ""
        # The last words of a pod may come when its node is gone already.
        for include_deleted in (False, True):
            query = ObjectQuery(kind="Node", name=node, include_body=True, include_deleted=include_deleted, limit=1)
            if (page := await self._journal.objects(query)).items:
                zone = zone_in(bytes(_NAMED.decode(page.items[0]).body)) or ""
                break
        if len(self._zones) >= _CACHED:
            self._zones.clear()
        self._zones[node] = (zone, self._now_ns() + int((_ZONE_SECONDS if zone else _NO_ZONE_SECONDS) * 1e9))
        return zone

    async def _version(self, uid: str, kind: str, *, is_first: bool) -> bytes | None:
        page = await self._journal.history(uid, RecordQuery(kind=kind, limit=1, ascending=is_first))
        if page is None or not page.items:
            return None
        seq = _NUMBERED.decode(page.items[0]).seq
        found = (await self._journal.transitions([seq])).get(seq)
        return None if found is None else found.after


def _facts(body: bytes | None) -> PodFacts | None:
    try:
        return None if body is None else pod_facts(body)
    except ValueError:
        return None


def _metadata(kind: str, name: str, names: Names) -> dict[str, str]:
    is_node = kind == "Node"
    return {"node": name if is_node else "", "revision": names.revision, "owner": names.owner}
