"""
The journal's part of usage: which pod a name is, and what pods and nodes may use. Of pods that are told of alone.

A pod that is asked for and not known is looked for by its uid where only a few are; else among all that live, page by
page and not often: one look answers for a whole start, or rollout. Each commit says what is gone, and whose resources
were changed (in-place resize).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NoReturn, Protocol

import msgspec
import structlog

from aggregator.errors import StoreError, StoreUnusable
from aggregator.outlets.usage.budgets import KnownNode, KnownPod, known_node, known_pod
from aggregator.records import ObjectQuery, Page, Published

_LOG = structlog.get_logger(__name__)

MAX_SINGLE = 64
"""So many pods are read by themselves in one turn."""

WHOLE_SECONDS = 15.0
"""At least, between two looks at all that live."""

MISSING_SECONDS = 300.0
"""A name that no living pod has is not looked for again until then: somebody tells of what never was."""

_PAGE = 200
"""Pods that are decoded in one turn of the loop: 8 ms at a start, when all of them are wanted."""

_TURN_SECONDS = 0.5


class Journal(Protocol):
    """As much of a journal as is read here; see `aggregator.store.base`."""

    async def objects(self, query: ObjectQuery) -> Page:
        """Return the cluster as it is."""
        ...

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """Return one object with its body."""
        ...


class _Item(msgspec.Struct, gc=False):
    kind: str
    namespace: str | None
    name: str
    uid: str
    gone: bool
    body: msgspec.Raw


class _Change(msgspec.Struct, gc=False):
    verb: str
    late: bool = False


_ITEM = msgspec.json.Decoder(_Item)
_CHANGE = msgspec.json.Decoder(_Change)
_MOVES = (b'"resources"', b'"nodeName"')
"""In the diff of a change after which a pod is to be read again."""


class PodIndex:
    """
    Pods by name, and nodes, as far as they were asked for. `committed` and the questions are for the loop.

    *on_gone* is told each pod that was known and is gone.
    """

    def __init__(
        self, journal: Journal, on_gone: Callable[[KnownPod], None], *, now_seconds: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._on_gone = on_gone
        self._now = now_seconds
        self._pods: dict[tuple[str, str], KnownPod] = {}
        self._by_uid: dict[str, tuple[str, str]] = {}
        self._nodes: dict[str, KnownNode] = {}
        self._wanted: dict[tuple[str, str], str] = {}
        self._missing: dict[tuple[str, str], float] = {}
        self._went: set[str] = set()
        """Pods that went while a look was under way: what it read of them is old."""
        self._stale: dict[str, None] = {}
        self._looked_at: float | None = None
        self._is_looking = False
        self._work = asyncio.Event()

    def find(self, namespace: str, name: str, uid: str) -> KnownPod | None:
        """Return the pod of that name, and *uid* if that is told; one that is not known is looked for."""
        key = namespace, name
        known = self.peek(namespace, name, uid)
        if known is not None:
            return known
        if self._now() >= self._missing.get(key, 0.0):
            self._wanted[key] = uid
            self._work.set()
        return None

    def peek(self, namespace: str, name: str, uid: str) -> KnownPod | None:
        """As `find`, but nothing is looked for; may be called in another thread."""
        known = self._pods.get((namespace, name))
        return known if known is not None and uid in {"", known.uid, known.file_uid} else None

    def node(self, name: str) -> KnownNode | None:
        """Return what a node may give away, None until it is known."""
        return self._nodes.get(name)

    def committed(self, published: Sequence[Published]) -> None:
        """Take what one transaction did to pods that are known."""
        for item in published:
            uid = item.facets.uid
            if item.topic != "changes" or item.facets.kind != "Pod":
                continue
            if uid not in self._by_uid and not self._is_looking:
                continue
            change = _CHANGE.decode(item.json)
            if change.late:
                continue
            if change.verb in {"deleted", "inferredDeleted"}:
                self._went.add(uid)
                if uid not in self._by_uid:
                    continue
                known = self._pods.pop(self._by_uid.pop(uid), None)
                self._stale.pop(uid, None)
                if known is not None:
                    self._on_gone(known)
            elif any(word in item.json for word in _MOVES):
                self._stale[uid] = None
                self._work.set()

    def keep(self, names: set[tuple[str, str]]) -> None:
        """Forget every pod but those of *names*: nobody tells of them any more."""
        for key in [key for key in self._pods if key not in names]:
            self._by_uid.pop(self._pods.pop(key).uid, None)

    async def run(self) -> NoReturn:
        """Look for what is wanted, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self.look()
            except StoreUnusable:
                raise
            except StoreError as error:
                _LOG.warning("usage.journal_not_read", error=str(error)[:256])
                self._work.set()
            await asyncio.sleep(_TURN_SECONDS)

    async def look(self) -> None:
        """Do one turn: read again what was changed, and all that live if a pod is wanted. Raises StoreError."""
        for uid in list(self._stale)[:MAX_SINGLE]:
            self._stale.pop(uid, None)
            await self._look_at(uid)
        if self._stale:
            self._work.set()
        if len(self._wanted) <= MAX_SINGLE:
            for key, uid in list(self._wanted.items()):
                if uid and await self._look_at(uid):
                    self._wanted.pop(key, None)
        if self._wanted and (self._looked_at is None or self._now() - self._looked_at >= WHOLE_SECONDS):
            self._looked_at = self._now()
            await self._look_at_all()
        elif self._wanted:
            asyncio.get_running_loop().call_later(1.0, self._work.set)

    async def _look_at_all(self) -> None:
        wanted, self._wanted = self._wanted, {}
        self._went.clear()
        self._is_looking = True
        try:
            await self._look_for(wanted)
        finally:
            self._is_looking = False
        again = self._now() + MISSING_SECONDS
        self._missing = {key: until for key, until in self._missing.items() if until > self._now()}
        self._missing.update((key, again) for key in wanted if key not in self._pods)

    async def _look_for(self, wanted: dict[tuple[str, str], str]) -> None:
        nodes: dict[str, KnownNode] = {}
        async for item in _pages(self._journal, "Node"):
            try:
                nodes[item.name] = known_node(item.body)
            except ValueError as error:
                _LOG.warning("usage.node_not_read", node=item.name, error=str(error)[:256])
        self._nodes = nodes
        async for item in _pages(self._journal, "Pod"):
            self._take_item(item, wanted)

    async def _look_at(self, uid: str) -> bool:
        """Read one pod; tell whether it lives."""
        told = await self._journal.object(uid)
        item = None if told is None else _ITEM.decode(told)
        if item is None or item.gone or item.kind != "Pod":
            return False
        self._take_item(item, None)
        return True

    def _take_item(self, item: _Item, wanted: dict[tuple[str, str], str] | None) -> None:
        key = item.namespace or "", item.name
        if item.uid in self._went or not (wanted is None or key in wanted or key in self._pods):
            return
        try:
            pod = known_pod(item.body)
        except ValueError as error:
            _LOG.warning("usage.pod_not_read", pod=item.name, error=str(error)[:256])
            return
        before = self._pods.get(key)
        if before is not None and before.uid != pod.uid:
            self._by_uid.pop(before.uid, None)
        self._pods[key] = pod
        self._by_uid[pod.uid] = key


async def _pages(journal: Journal, kind: str) -> AsyncIterator[_Item]:
    after = 0
    while True:
        page = await journal.objects(ObjectQuery(kind=kind, include_body=True, limit=_PAGE, after=after))
        for item in page.items:
            yield _ITEM.decode(item)
        if page.last is None:
            return
        after = page.last
