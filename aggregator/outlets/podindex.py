"""
The pods of the cluster as a gateway asks for them: by uid, container or name, alive or dead for at most a day.

Fed by what commits brought, filled with the living at the start; who died before that is asked of the journal, once.
Kept small: what is known of a pod is packed, 1 KB each with all its keys, and unpacked for those that are asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from sys import intern
from typing import Protocol

import msgspec
import structlog

from aggregator.errors import StoreError
from aggregator.records import Head, Page, RecordQuery
from kubescribe.gateway.finding import bearer_at, is_of_bearer
from kubescribe.labels.clues import Clue
from kubescribe.labels.enriching import NodeFacts
from kubescribe.labels.nodes import zone_in
from kubescribe.labels.pods import PodFacts, container_ids, pod_facts
from kubescribe.wire.records import Change

DEAD_SECONDS = 24 * 3600
MAX_DEAD = 20_000
MAX_UNPACKED = 1024
MAX_MISSED = 4096
MISSED_SECONDS = 60.0
ASK_SECONDS = 2.0
"""A push waits for the journal no longer than this; then its lines go on as they came."""

ASKING_SHARE = 0.2
ASKING_SECONDS = 5.0
"""Pushes are understood one after the other, and whoever makes up names of pods could keep all of them waiting: so much
of the time goes to the journal at most, after a burst of so many seconds; then unknown pods stay unknown."""

NAMING_LABELS = frozenset(
    {
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "app.kubernetes.io/name",
        "app.kubernetes.io/part-of",
        "app.kubernetes.io/instance",
        "app",
        "k8s-app",
    }
)
"""What kubescribe.labels looks at; the rest of a pod's labels is not kept."""

_UNREAD_BODIES = 64
_FILL_AT_ONCE = 100
_FORGOTTEN_AT_ONCE = 1000
"""Their containers are looked for among all, which costs a millisecond or two."""

_ID_BYTES = 12
_MAX_FORMER = 8
_PACK = msgspec.msgpack.Encoder().encode
_UNPACK = msgspec.msgpack.Decoder(PodFacts).decode
_log = structlog.get_logger(__name__)


class _Named(msgspec.Struct):
    uid: str


class _Stored(msgspec.Struct):
    body: msgspec.Raw = msgspec.Raw(b"")


_NAMED = msgspec.json.Decoder(_Named)


class Journal(Protocol):
    """What is asked of the journal (aggregator.store.base)."""

    async def living(self, kind: str, node: str | None) -> list[Head]:
        """Return the heads of one kind that are not gone."""
        ...

    async def bodies(self, seqs: Collection[int]) -> dict[int, bytes]:
        """Return whole objects as of each change."""
        ...

    async def changes(self, query: RecordQuery) -> Page:
        """Return changes, the latest first."""
        ...

    async def object(self, uid: str) -> bytes | None:
        """Return one object with its body, alive or dead."""
        ...


class PodIndex:
    """Implements kubescribe.gateway.finding.PodFinder. `observe` is for the loop, `find` for any one other thread."""

    def __init__(self, journal: Journal, *, now_ns: Callable[[], int]) -> None:
        self.cluster: Callable[[], str] = str
        """Tells the cluster's name."""
        self._journal = journal
        self._now_ns = now_ns
        self._loop = asyncio.get_running_loop()
        self._packed: dict[str, bytes] = {}
        self._files: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._former: dict[tuple[str, str], tuple[str, ...]] = {}
        """Who had a name before, the last one first: few names are used again."""
        self._containers: dict[bytes, str] = {}
        self._dead: OrderedDict[str, int] = OrderedDict()
        self._zones: dict[str, str] = {}
        self._unread: dict[str, bytes] = {}
        self._unpacked: OrderedDict[str, PodFacts] = OrderedDict()
        self._forgotten: set[str] = set()
        self._missed: OrderedDict[Clue, float] = OrderedDict()
        self._may_ask_seconds = ASKING_SECONDS
        self._counted_at = time.monotonic()

    def __len__(self) -> int:
        """Return how many pods are known."""
        return len(self._packed)

    def observe(self, changes: Iterable[Change]) -> None:
        """Take the Pods and Nodes of a commit."""
        for change in changes:
            if change.kind == "Pod":
                self._take(change.uid, change.node, change.body)
                if change.gone and change.uid in self._packed and change.uid not in self._dead:
                    self._dead[change.uid] = self._now_ns()
            elif change.kind == "Node":
                self._take_node(change.name, change.body)
        self._forget_old()

    async def fill(self) -> None:
        """Take the living pods and nodes of the journal; what cannot be read is asked for when it is needed."""
        try:
            for kind in ("Node", "Pod"):
                heads = await self._journal.living(kind, None)
                for start in range(0, len(heads), _FILL_AT_ONCE):
                    part = heads[start : start + _FILL_AT_ONCE]
                    bodies = await self._journal.bodies([head.seq for head in part])
                    for head in part:
                        body = bodies.get(head.seq, b"")
                        if kind == "Node":
                            self._take_node(head.name, body)
                        else:
                            self._take(head.key.uid, head.node, body)
        except StoreError as error:
            _log.warning("podindex.not_filled", error=str(error))

    def find(self, clue: Clue, at: int = 0) -> PodFacts | None:
        """Return the pod that *clue* leads to."""
        found = self._known(clue, at)
        if found is None and self._is_worth_asking(clue):
            self._ask(clue)
            found = self._known(clue, at)
            if found is None:
                self._miss(clue)
        return found

    def node_of(self, pod: PodFacts | None) -> NodeFacts:
        """Return where *pod* runs."""
        node = pod.node if pod is not None else ""
        return NodeFacts(cluster=self.cluster(), node=node, zone=self._zones.get(node, ""))

    def _known(self, clue: Clue, at: int) -> PodFacts | None:
        if clue.uid:
            return self._facts(clue.uid if clue.uid in self._packed else self._files.get(clue.uid, ""))
        if clue.container_id:
            self._read_bodies()
            if (uid := self._containers.get(_short(clue.container_id))) is not None:
                return self._facts(uid)
        named = bearer_at(self._bearers((clue.namespace, clue.pod)), at)
        return named if named is not None and is_of_bearer(named, clue, at) else None

    def _bearers(self, name: tuple[str, str]) -> Iterator[PodFacts]:
        for uid in (self._names.get(name, ""), *self._former.get(name, ())):
            if (pod := self._facts(uid)) is not None:
                yield pod

    def _facts(self, uid: str) -> PodFacts | None:
        known = self._unpacked.get(uid)
        if known is None:
            packed = self._packed.get(uid)
            if packed is None:
                return None
            known = self._unpacked[uid] = _UNPACK(packed)
            if len(self._unpacked) > MAX_UNPACKED:
                self._unpacked.popitem(last=False)
        return known

    def _is_worth_asking(self, clue: Clue) -> bool:
        asked_at = self._missed.get(clue)
        now = self._now_ns() / 1e9
        # By its name the journal finds the pod that is known already, and not the one that had it before.
        is_askable = bool(clue.uid or (clue.pod and (clue.namespace, clue.pod) not in self._names))
        is_new = is_askable and (asked_at is None or now - asked_at > MISSED_SECONDS)
        return is_new and self._may_ask()

    def _may_ask(self) -> bool:
        now = time.monotonic()
        earned = (now - self._counted_at) * ASKING_SHARE
        self._may_ask_seconds, self._counted_at = min(ASKING_SECONDS, self._may_ask_seconds + earned), now
        return self._may_ask_seconds > 0

    def _ask(self, clue: Clue) -> None:
        """Take what the journal knows of the pod behind *clue*."""
        began = time.monotonic()
        asking = asyncio.run_coroutine_threadsafe(self._of_journal(clue), self._loop)
        try:
            body = asking.result(ASK_SECONDS)
        except (TimeoutError, StoreError):
            asking.cancel()
            body = None
        finally:
            self._may_ask_seconds -= time.monotonic() - began
        if body is not None and (uid := self._take("", "", body, is_last=False)):
            self._dead.setdefault(uid, self._now_ns())

    def _miss(self, clue: Clue) -> None:
        """Do not ask again for *clue* before a minute has passed."""
        self._missed[clue] = self._now_ns() / 1e9
        if len(self._missed) > MAX_MISSED:
            self._missed.popitem(last=False)

    async def _of_journal(self, clue: Clue) -> bytes | None:
        uid = clue.uid
        if not uid:
            page = await self._journal.changes(
                RecordQuery(kind="Pod", namespace=clue.namespace, name=clue.pod, limit=1)
            )
            uid = _NAMED.decode(page.items[0]).uid if page.items else ""
        found = await self._journal.object(uid) if uid else None
        return None if found is None else _body_of(found)

    def _take(self, uid: str, node: str, body: bytes, *, is_last: bool = True) -> str:
        """Take a pod's object, with *is_last* the last of its name; return its uid, "" for one that is none."""
        if uid not in self._packed:
            try:
                pod = pod_facts(body)
            except (ValueError, msgspec.MsgspecError):
                return ""
            if not pod.node and not node:
                # Not bound yet: nothing of it runs, and where it will run belongs to its lines.
                return ""
            uid = pod.uid
            labels = {name: value for name, value in pod.labels.items() if name in NAMING_LABELS}
            self._packed[uid] = _PACK(msgspec.structs.replace(pod, labels=labels))
            self._note_name((intern(pod.namespace), pod.name), uid, is_last=is_last)
            if pod.file_uid != uid:
                self._files[pod.file_uid] = uid
        self._unread[uid] = body
        if len(self._unread) > _UNREAD_BODIES:
            self._read_bodies()
        return uid

    def _note_name(self, name: tuple[str, str], uid: str, *, is_last: bool) -> None:
        last = self._names.get(name)
        if last is None:
            self._names[name] = uid
            return
        self._names[name], former = (uid, last) if is_last else (last, uid)
        self._former[name] = (former, *self._former.get(name, ()))[:_MAX_FORMER]

    def _take_node(self, name: str, body: bytes) -> None:
        if zone := zone_in(body):
            self._zones[name] = zone

    def _read_bodies(self) -> None:
        bodies, self._unread = self._unread, {}
        for uid, body in bodies.items():
            for found in container_ids(body):
                self._containers[_short(found)] = uid

    def _forget_old(self) -> None:
        limit = self._now_ns() - DEAD_SECONDS * 1_000_000_000
        while self._dead:
            uid, since = next(iter(self._dead.items()))
            if since > limit and len(self._dead) <= MAX_DEAD:
                break
            del self._dead[uid]
            self._forget(uid)
        if len(self._forgotten) >= _FORGOTTEN_AT_ONCE:
            for each in [each for each, uid in self._containers.items() if uid in self._forgotten]:
                del self._containers[each]
            self._forgotten.clear()

    def _forget(self, uid: str) -> None:
        packed = self._packed.pop(uid, None)
        self._unpacked.pop(uid, None)
        if packed is None:
            return
        pod = _UNPACK(packed)
        self._forgotten.add(uid)
        self._files.pop(pod.file_uid, None)
        name = (pod.namespace, pod.name)
        if self._names.get(name) == uid:
            del self._names[name]
        if name in self._former:
            self._former[name] = tuple(it for it in self._former[name] if it != uid)
            if not self._former[name]:
                del self._former[name]


def _short(container_id: str) -> bytes:
    """Return enough of an id to tell it from all others."""
    try:
        return bytes.fromhex(container_id[: 2 * _ID_BYTES])
    except ValueError:
        return b""


def _body_of(found: bytes) -> bytes:
    return bytes(msgspec.json.decode(found, type=_Stored).body)
