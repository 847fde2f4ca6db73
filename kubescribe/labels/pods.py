"""
What naming a line needs of its pod: taken from the pod's object once, kept for as long as lines of it may come.

Only what never changes in a pod's life is here; phase, readiness and the like make no labels.
"""

import re
from collections.abc import Mapping

import msgspec

from kubescribe.wire.times import from_rfc3339

TRACKING_ID = "argocd.argoproj.io/tracking-id"
SERVICE_NAME = "resource.opentelemetry.io/service.name"
MIRROR = "kubernetes.io/config.mirror"
"""Of a static pod's mirror: the uid under which the kubelet keeps its files (kubelet/types/pod_update.go)."""

KEPT_ANNOTATIONS = (TRACKING_ID, SERVICE_NAME, MIRROR)
_REDACTED = "kubescribe:redacted:"


class PodFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """
    A pod, as it was first seen.

    `labels` are all of its labels, `annotations` those of KEPT_ANNOTATIONS; `images` are by container, init and
    ephemeral ones included. `owner_kind` carries no group. `created_at` is the API's, ns in whole seconds, 0 where it
    is not known. With `is_guessed` nobody has seen the object: all that is
    known was read from the path of a file.
    """

    namespace: str
    name: str
    uid: str
    node: str = ""
    owner_kind: str = ""
    owner_name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    images: dict[str, str] = {}
    created_at: int = 0
    is_guessed: bool = False

    @property
    def file_uid(self) -> str:
        """The uid in the path of its files; of a static pod it is not the uid in the API."""
        return self.annotations.get(MIRROR) or self.uid


class _Owner(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""
    controller: bool = False


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    name: str
    uid: str
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None
    creation_timestamp: str | None = None


class _Container(msgspec.Struct, gc=False):
    name: str = ""
    image: str = ""


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    node_name: str = ""
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _Spec | None = None


_POD = msgspec.json.Decoder(_Pod)
_CONTAINER_ID = re.compile(rb'"containerID":"[a-z0-9.-]*://([0-9a-f]{12,64})"')


def pod_facts(body: bytes) -> PodFacts:
    """Return the facts of the pod whose object is *body*, JSON, redacted or not. Raises ValueError."""
    pod = _POD.decode(body)
    meta, spec = pod.metadata, pod.spec or _Spec()
    owners = meta.owner_references or []
    owner = next((owner for owner in owners if owner.controller), owners[0] if owners else _Owner())
    annotations = meta.annotations or {}
    containers = (*(spec.init_containers or ()), *(spec.containers or ()), *(spec.ephemeral_containers or ()))
    return PodFacts(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        node=spec.node_name,
        owner_kind=owner.kind,
        owner_name=owner.name,
        labels=meta.labels or {},
        # What the agent had to redact is as good as not there.
        annotations={
            key: annotations[key]
            for key in KEPT_ANNOTATIONS
            if annotations.get(key) and not annotations[key].startswith(_REDACTED)
        },
        images={container.name: container.image for container in containers if container.image},
        created_at=_time_of(meta.creation_timestamp or ""),
    )


def container_ids(body: bytes) -> frozenset[str]:
    """Return the hexadecimal ids of the containers that a pod's object names, former ones included."""
    return frozenset(found.decode() for found in _CONTAINER_ID.findall(body))


def guessed_pod(namespace: str, name: str, uid: str, *, node: str = "") -> PodFacts:
    """Return what a path tells of a pod whose object nobody has seen."""
    return PodFacts(namespace=namespace, name=name, uid=uid, node=node, is_guessed=True)


def _time_of(text: str) -> int:
    try:
        return max(0, from_rfc3339(text))
    except ValueError:
        return 0


def first_of(labels: Mapping[str, str], *names: str) -> str:
    """Return the value of the first of *names* that has one, "" for none."""
    return next((labels[name] for name in names if labels.get(name)), "")
