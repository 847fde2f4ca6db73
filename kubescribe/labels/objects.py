"""
What an object that is no pod belongs to: the same names as the lines of its pods, found together with them. Pure.

A Deployment's lines are named from the pods that its template makes, so its own Events and changes are named from the
template, and from the object itself where there is none. What a controller made (a ReplicaSet, a Job of a CronJob)
belongs to what made it, what scales a workload (a HorizontalPodAutoscaler) to that.
"""

import msgspec

from kubescribe.labels.enriching import Names, names_in
from kubescribe.labels.pods import KEPT_ANNOTATIONS, PodFacts
from kubescribe.labels.workloads import Workload, workload_of

_NAMED_BY_PEOPLE = frozenset({"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Rollout"})
"""Their names are whole, also where they end in a number."""


class _Owner(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Template(msgspec.Struct, gc=False):
    metadata: _Meta | None = None


class _Inner(msgspec.Struct, gc=False):
    template: _Template | None = None


class _JobTemplate(msgspec.Struct, gc=False):
    spec: _Inner | None = None


class _Target(msgspec.Struct, gc=False):
    name: str
    kind: str = "Deployment"


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    template: _Template | None = None
    job_template: _JobTemplate | None = None
    scale_target_ref: _Target | None = None


class _Object(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: msgspec.Raw = msgspec.Raw(b"{}")


_OBJECT = msgspec.json.Decoder(_Object)
_SPEC = msgspec.json.Decoder(_Spec)


def names_of_object(kind: str, name: str, body: bytes | None = None, *, is_namespaced: bool = True) -> Names:
    """
    Return what the object is part of; *kind* as records have it, *body* its JSON where it is known.

    What has no namespace is part of nothing: it is named for its kind, and its own name makes no stream. Raises
    ValueError for a body that is no object.
    """
    short = kind.partition(".")[0]
    if not is_namespaced:
        return Names(
            workload_kind=short, workload="", service_name=short.lower(), application="", revision="", owner=""
        )
    if body is None:
        return names_in(_workload(short, name, {}), {}, {})
    found = _OBJECT.decode(body)
    meta = found.metadata
    own = meta.labels or {}
    owner = next((owner for owner in meta.owner_references or () if owner.controller), None)
    spec = _spec(found.spec)
    if (target := spec.scale_target_ref) is not None:
        workload = Workload(target.kind, target.name)
    elif owner is not None:
        workload = _owned(short, name, own, owner)
    else:
        workload = _workload(short, name, own)
    template = _template(spec)
    carried = template if template is not None and template.labels else meta
    annotations = carried.annotations or {}
    kept = {key: annotations[key] for key in KEPT_ANNOTATIONS if annotations.get(key)}
    return names_in(workload, carried.labels or {}, kept)


def has_controller(body: bytes) -> bool:
    """Tell whether the object is another one's doing. Raises ValueError."""
    return any(owner.controller for owner in _OBJECT.decode(body).metadata.owner_references or ())


def _workload(kind: str, name: str, labels: dict[str, str]) -> Workload:
    if kind in _NAMED_BY_PEOPLE:
        return Workload(kind, name)
    return workload_of(PodFacts(namespace="", name=name, uid="", owner_kind=kind, owner_name=name, labels=labels))


def _owned(kind: str, name: str, labels: dict[str, str], owner: _Owner) -> Workload:
    revision = labels.get("pod-template-hash") or labels.get("rollouts-pod-template-hash") or ""
    return Workload(owner.kind, owner.name, revision, owner=name if kind != "ReplicaSet" else "")


def _spec(spec: msgspec.Raw) -> _Spec:
    try:
        return _SPEC.decode(spec)
    except msgspec.ValidationError:
        # A kind that calls something else `template`.
        return _Spec()


def _template(spec: _Spec) -> _Meta | None:
    inner = spec.template
    if inner is None and spec.job_template is not None and spec.job_template.spec is not None:
        inner = spec.job_template.spec.template
    return None if inner is None else inner.metadata
