"""
Which pods a question is about: looked up in the journal, the living and those whose lines may still be somewhere.

A pod tells its workload itself (kubescribe.labels), so no owner is looked up, and a workload that is deleted is found
as long as its pods are remembered. Pods of a workload begin with its name, which finds them without reading every pod
of a namespace; those of an owner who names them otherwise are looked for among the living.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from aggregator.logs.asking import Latest, LogQuery, Target
from aggregator.records import ObjectQuery, Page
from kubescribe.labels.pods import pod_facts
from kubescribe.labels.workloads import workload_of
from kubescribe.wire.link import LinePod
from kubescribe.wire.times import from_rfc3339

MAX_TARGETS = 500
"""Pods of one question; the youngest are asked for, and the rest is said to be left out."""

_PAGE = 250
_MAX_LOOKED_AT = 5_000
_PREFIX_CHARACTERS = 58
"""A generated name keeps so much of what it begins with (apiserver, names.go: 63 less five random letters)."""


class Pods(Protocol):
    """The part of the journal that is looked into."""

    async def objects(self, query: ObjectQuery) -> Page:
        """As Journal.objects."""
        ...

    async def object(self, uid: str, at: int | None = None) -> bytes | None:
        """As Journal.object."""
        ...


@dataclass(slots=True, kw_only=True, frozen=True)
class Found:
    """The pods that are meant, and what there is to say about those left out."""

    targets: list[Target]
    missing: list[str]


class _Item(msgspec.Struct, gc=False, rename="camel"):
    kind: str
    uid: str
    node: str | None
    gone: bool
    observed_at: str
    body: msgspec.Raw = msgspec.Raw(b"")


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    creation_timestamp: str = ""


class _Run(msgspec.Struct, gc=False, rename="camel"):
    started_at: str | None = None


class _State(msgspec.Struct, gc=False):
    running: _Run | None = None
    terminated: _Run | None = None


class _Container(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)
    restart_count: int = 0

    @property
    def has_run(self) -> bool:
        return self.restart_count > 0 or self.state.running is not None or self.state.terminated is not None

    @property
    def latest(self) -> Latest:
        # One that waits for its next start (CrashLoopBackOff) is counted up only with that.
        run = self.state.running or self.state.terminated or self.last_state.terminated
        return Latest(self.name, self.restart_count, _time((run and run.started_at) or ""))


class _Status(msgspec.Struct, gc=False, rename="camel"):
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None


class _Life(msgspec.Struct, gc=False):
    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)


_ITEM = msgspec.json.Decoder(_Item)
_LIFE = msgspec.json.Decoder(_Life)


async def find_targets(journal: Pods, query: LogQuery) -> Found:
    """Return the pods that *query* is about: those that live, and those that were gone no earlier than it begins."""
    targets: list[Target] = []
    missing: list[str] = []
    looked_at = 0
    async for item in _candidates(journal, query):
        looked_at += 1
        target = _target(item)
        if target is not None and _is_meant(query, target) and not 0 < target.gone_at < query.since:
            targets.append(target)
        if looked_at >= _MAX_LOOKED_AT:
            missing.append(f"only {_MAX_LOOKED_AT} pods were looked at; name a pod, or a shorter time")
            break
    if query.workload and not targets:
        targets = [it async for it in _living_otherwise(journal, query)]
    # The living first, then those that were here last.
    targets.sort(key=lambda it: (it.gone_at != 0, -it.gone_at, it.pod.name))
    if len(targets) > MAX_TARGETS:
        missing.append(f"{len(targets) - MAX_TARGETS} pods were left out; name a pod, or a shorter time")
    return Found(targets=targets[:MAX_TARGETS], missing=missing)


async def _candidates(journal: Pods, query: LogQuery) -> AsyncIterator[_Item]:
    if query.uid:
        body = await journal.object(query.uid)
        if body is not None:
            yield _ITEM.decode(body)
        return
    text = query.workload[:_PREFIX_CHARACTERS]
    wanted = ObjectQuery(
        namespace=query.namespace, kind="Pod", name=query.pod, q=text, include_deleted=True, include_body=True
    )
    async for item in _walk(journal, wanted):
        yield item


async def _living_otherwise(journal: Pods, query: LogQuery) -> AsyncIterator[Target]:
    looked_at = 0
    async for item in _walk(journal, ObjectQuery(namespace=query.namespace, kind="Pod", include_body=True)):
        target = _target(item)
        if target is not None and _is_meant(query, target):
            yield target
        looked_at += 1
        if looked_at >= _MAX_LOOKED_AT:
            return


async def _walk(journal: Pods, query: ObjectQuery) -> AsyncIterator[_Item]:
    after: int | None = 0
    while after is not None:
        page = await journal.objects(replace(query, after=after, limit=_PAGE))
        for item in page.items:
            yield _ITEM.decode(item)
        after = page.last


def _target(item: _Item) -> Target | None:
    if item.kind != "Pod":
        return None
    try:
        facts = pod_facts(bytes(item.body))
    except ValueError:
        return None
    life = _life(item.body)
    statuses = (*(life.status.container_statuses or ()), *(life.status.init_container_statuses or ()))
    return Target(
        pod=LinePod(namespace=facts.namespace, name=facts.name, uid=facts.file_uid),
        uid=facts.uid,
        node=item.node or facts.node,
        workload=workload_of(facts),
        gone_at=from_rfc3339(item.observed_at) if item.gone else 0,
        created_at=_time(life.metadata.creation_timestamp),
        # One that was seen only before its kubelet told of it may well have run.
        has_run=bool(item.node or facts.node) and (not statuses or any(it.has_run for it in statuses)),
        latest=tuple(it.latest for it in statuses),
        containers=tuple(sorted({*facts.images, *(it.name for it in statuses)})),
    )


def _life(body: msgspec.Raw) -> _Life:
    try:
        return _LIFE.decode(body)
    except ValueError:
        return _Life(metadata=_Meta())  # nothing of it is needed to find lines


def _time(text: str) -> int:
    try:
        return from_rfc3339(text)
    except ValueError:
        return 0


def _is_meant(query: LogQuery, target: Target) -> bool:
    if query.namespace and target.pod.namespace != query.namespace:
        return False
    if query.pod and target.pod.name != query.pod:
        return False
    if query.workload and query.workload not in (target.workload.name, target.workload.owner):
        return False
    return not query.workload_kind or target.workload.kind == query.workload_kind
