"""
A change of what makes an application as an entry: what was changed, by which manager, in a few words. Pure.

Only what somebody decides: the spec of workloads, and what configures, scales and exposes them. Not what follows from
it (pods, ReplicaSets, EndpointSlices, status), which Events and terminations tell, nor what a controller makes by
itself (the Jobs of a CronJob): an annotation in a graph for each of these would hide the one that matters.
"""

from collections.abc import Iterable

import msgspec

from aggregator.outlets.loki.entries import LokiEntry, kept, logfmt
from aggregator.outlets.loki.subjects import Subject
from kubescribe.wire.times import from_rfc3339

CHANGE_KINDS = frozenset(
    {
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Rollout.argoproj.io",
        "Service.serving.knative.dev",
        "ConfigMap",
        "HorizontalPodAutoscaler",
        "ScaledObject.keda.sh",
        "Service",
        "Ingress",
        "HTTPRoute.gateway.networking.k8s.io",
        "NetworkPolicy",
    }
)

_MAX_STEPS = 8
_MAX_VALUE = 60
_REDACTED = "kubescribe:redacted:"


class _Actor(msgspec.Struct, gc=False, rename="camel"):
    manager: str = ""
    app: str | None = None
    revision: str | None = None
    initiated_by: str | None = None


class _Step(msgspec.Struct, gc=False):
    path: list[object]
    old: object = None
    new: object = None


class ChangeItem(msgspec.Struct, gc=False, rename="camel"):
    """A change as the journal renders it, as far as it matters here."""

    seq: int
    kind: str
    name: str
    uid: str
    resource_version: str
    verb: str
    observed_at: str
    committed_at: str
    listed: bool
    namespace: str | None = None
    generation: int = 0
    actor: _Actor | None = None
    diff: msgspec.Raw = msgspec.Raw(b"null")


_ITEM = msgspec.json.Decoder(ChangeItem)
_STEPS = msgspec.json.Decoder(list[_Step] | None)


def read_change(item: bytes) -> ChangeItem:
    """Return the change in *item*, JSON of the journal. Raises msgspec.MsgspecError."""
    return _ITEM.decode(item)


def is_news(item: ChangeItem) -> bool:
    """Tell whether somebody decided this: it was made, deleted, or what it is meant to be was changed."""
    if item.kind not in CHANGE_KINDS:
        return False
    if item.verb == "added":
        # Of a list: it was there before anybody watched.
        return not item.listed
    return item.verb != "modified" or any(map(_is_meant, _steps(item)))


def change_entry(item: ChangeItem, subject: Subject) -> LokiEntry:
    """Return the entry, at the moment when the change was seen."""
    actor = item.actor or _Actor()
    steps = [step for step in _steps(item) if _is_meant(step)] if item.verb == "modified" else []
    fields = {
        "level": "info",
        "verb": item.verb,
        "kind": item.kind,
        "name": item.name,
        "manager": actor.manager,
        "app": actor.app,
        "revision": actor.revision,
        "initiated_by": actor.initiated_by,
        "generation": item.generation or None,
        "changed": in_words(steps),
    }
    metadata = {
        **subject.metadata,
        "kind": item.kind,
        "name": item.name,
        "uid": item.uid,
        "verb": item.verb,
        "manager": actor.manager,
        "resource_version": item.resource_version,
    }
    at = from_rfc3339(item.observed_at)
    return LokiEntry(stream="change", at=at, labels=subject.labels, metadata=kept(metadata), line=logfmt(fields))


def in_words(steps: Iterable[_Step]) -> str:
    """Return what changed, a few steps of it: `spec.replicas 2 → 3; app.image 1.0 → 1.1; data.key changed`."""
    said = list(dict.fromkeys(map(_said, steps)))
    more = len(said) - _MAX_STEPS
    return "; ".join(said[:_MAX_STEPS]) + (f"; and {more} more" if more > 0 else "")


def _steps(item: ChangeItem) -> list[_Step]:
    return _STEPS.decode(item.diff) or []


def _is_meant(step: _Step) -> bool:
    first = step.path[0] if step.path else ""
    if first == "metadata":
        return len(step.path) > 1 and step.path[1] == "labels"
    return first not in {"status", "apiVersion", "kind"}


def _said(step: _Step) -> str:
    where = ".".join(_named(element) for element in step.path)[:200]
    # The long way to a container says nothing that its name does not.
    where = where.removeprefix("spec.template.spec.containers.").removeprefix("spec.template.")
    old, new = _short(step.old), _short(step.new)
    if step.old is None and step.new is not None:
        return f"{where} set to {new}" if new is not None else f"{where} added"
    if step.new is None:
        return f"{where} removed"
    return f"{where} {old} → {new}" if old is not None and new is not None else f"{where} changed"


def _named(element: object) -> str:
    if isinstance(element, dict):
        return "/".join(str(value) for value in element.values())
    return str(element)


def _short(value: object) -> str | None:
    """Return a value that can be said in a line, None for one that is long, has parts or was redacted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or value.startswith(_REDACTED) or not value.isprintable():
        return None
    if len(value) > _MAX_VALUE and "/" in value and " " not in value:
        # An image: the registry in front of its name is the same before and after, or the digest tells them apart.
        value = value.rpartition("/")[2]
    return value if len(value) <= _MAX_VALUE else None
