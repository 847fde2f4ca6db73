"""
What /metrics needs of a controller of pods: its replicas, and how far its rollout is. Pure.

A rollout is known by its `revision`. A Deployment says itself how it goes (deployment/progress.go: the reason stays
NewReplicaSetAvailable however it is scaled). StatefulSets and DaemonSets do not: theirs is completed once all pods are
of the newest revision and up, and stays so until the next revision, whatever becomes of the pods. A status that has not
seen the spec yet (observedGeneration) tells nothing about a rollout: what was known stays.
"""

from sys import intern

import msgspec

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
STATES = ("desired", "ready", "available", "updated")

COMPLETED, FAILED, RUNNING = "completed", "failed", "running"
_MAX_REPLICAS = 2**31 - 1

_REVISIONS = {
    "Deployment": "deployment.kubernetes.io/revision",
    "DaemonSet": "deprecated.daemonset.template.generation",
}
_REASONS = {"NewReplicaSetAvailable": COMPLETED, "ProgressDeadlineExceeded": FAILED}


class ControllerState(msgspec.Struct, frozen=True, gc=False):
    """A controller that is not gone; `replicas` run in the order of STATES. `revision` is "" when it tells none."""

    kind: str
    namespace: str
    name: str
    replicas: tuple[int, int, int, int]
    revision: str
    progress: str


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    annotations: dict[str, str] | None = None
    generation: int = 0


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    replicas: int = 1


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    reason: str = ""


class _Status(msgspec.Struct, gc=False, rename="camel"):
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    updated_number_scheduled: int = 0
    observed_generation: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: list[_Condition] | None = None


class _Controller(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _Spec | None = None
    status: _Status | None = None


_CONTROLLER = msgspec.json.Decoder(_Controller)


def controller_state(
    body: bytes, *, kind: str, namespace: str, name: str, generation: int = 0, old: ControllerState | None = None
) -> ControllerState | None:
    """
    Return the state of the controller *body*, JSON, that follows *old*; None when it tells no status yet.

    *generation* is its metadata.generation where the body does not tell it. Raises ValueError.
    """
    it = _CONTROLLER.decode(body)
    status = it.status
    if status is None or it.spec is None:
        return None
    if kind == "DaemonSet":
        replicas = (
            status.desired_number_scheduled,
            status.number_ready,
            status.number_available,
            status.updated_number_scheduled,
        )
    else:
        replicas = (it.spec.replicas, status.ready_replicas, status.available_replicas, status.updated_replicas)
    if not all(0 <= count <= _MAX_REPLICAS for count in replicas):
        return None
    if old is not None and status.observed_generation < max(generation, it.metadata.generation):
        revision, progress = old.revision, old.progress
    else:
        revision = _revision(kind, it.metadata, status)
        progress = _progress(kind, status, replicas, revision=revision, old=old)
    return ControllerState(
        kind=kind,
        namespace=intern(namespace),
        name=name,
        replicas=replicas,
        revision=revision[:253],
        progress=progress if revision else RUNNING,
    )


def _revision(kind: str, meta: _Meta, status: _Status) -> str:
    if kind == "StatefulSet":
        return status.update_revision
    return (meta.annotations or {}).get(_REVISIONS[kind], "")


def _progress(
    kind: str, status: _Status, replicas: tuple[int, int, int, int], *, revision: str, old: ControllerState | None
) -> str:
    if kind == "Deployment":
        reason = next((it.reason for it in status.conditions or () if it.type == "Progressing"), "")
        return _REASONS.get(reason, RUNNING)
    desired, _, available, updated = replicas
    is_newest = status.current_revision == status.update_revision if kind == "StatefulSet" else updated == desired
    if old is None:
        # Nobody remembers; a pod that is being replaced must not pass for a rollout when it is up.
        is_done = is_newest and status.observed_generation > 0
    else:
        was_done = old.revision == revision and old.progress == COMPLETED
        is_done = was_done or (is_newest and available >= desired)
    return COMPLETED if is_done else RUNNING
