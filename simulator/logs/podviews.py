"""The part of a pod that its logs follow from, read from the stored bytes. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from simulator.fargate import PROFILE

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a static pod's mirror: the uid that the kubelet calls it by."""


class _Terminated(msgspec.Struct, rename="camel"):
    exit_code: int = 0
    reason: str = ""


class _Waiting(msgspec.Struct):
    reason: str = ""


class _State(msgspec.Struct):
    waiting: _Waiting | None = None
    running: dict[str, Any] | None = None
    terminated: _Terminated | None = None


class _Status(msgspec.Struct, rename="camel"):
    name: str
    ready: bool = False
    restart_count: int = 0
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)


class _Container(msgspec.Struct, rename="camel"):
    name: str
    image: str = ""
    env: list[dict[str, Any]] = []
    resources: dict[str, Any] = {}


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container] = []
    volumes: list[dict[str, Any]] = []
    node_name: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str = ""


class _PodStatus(msgspec.Struct, rename="camel"):
    container_statuses: list[_Status] = []


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """One container as its kubelet reported it."""

    name: str
    instance: int
    is_running: bool
    is_ready: bool
    exit_code: int
    """Of the instance that ended last."""
    reason: str
    image: str
    waiting_reason: str = ""
    """Why it does not run yet or not now; "" where it does not wait."""
    has_ended: bool = False
    """Whether an instance ended."""
    has_predecessor: bool = False
    """Whether an instance ended before the one that runs or ended now."""
    inputs: frozenset[str] = field(default_factory=frozenset)
    """Values of its environment."""
    memory_limit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod on a node."""

    namespace: str
    name: str
    uid: str
    """As the kubelet calls it in the name of the folder."""
    node: str
    program: str
    """What runs in it: the application's name."""
    is_terminating: bool
    container_names: tuple[str, ...]
    """Of its spec."""
    config_maps: frozenset[str]
    containers: tuple[ContainerView, ...]


_TIMED = re.compile(r"-\d{8,}$")
"""What the CronJob controller adds to the name of a Job."""

_decode = msgspec.json.Decoder(_Pod).decode


def pod_view(body: bytes) -> PodView | None:
    """Return the view of a pod's stored *body*; None where no node keeps logs of it (no node yet, Fargate)."""
    try:
        pod = _decode(body)
    except msgspec.DecodeError:
        return None  # Somebody stored what is no pod.
    metadata, spec = pod.metadata, pod.spec
    if not spec.node_name or PROFILE in metadata.labels:
        return None
    known = {container.name: container for container in spec.containers}
    return PodView(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.annotations.get(MIRROR, metadata.uid),
        node=spec.node_name,
        program=_program(metadata),
        is_terminating=bool(metadata.deletion_timestamp),
        container_names=tuple(known),
        config_maps=frozenset(
            str(volume["configMap"].get("name", "")) for volume in spec.volumes if volume.get("configMap")
        ),
        containers=tuple(
            _container(status, known.get(status.name)) for status in pod.status.container_statuses if status.name
        ),
    )


def _program(metadata: _Metadata) -> str:
    labels = metadata.labels
    job = labels.get("batch.kubernetes.io/job-name", "")
    return labels.get("app.kubernetes.io/name") or _TIMED.sub("", job) or metadata.name


def _container(status: _Status, spec: _Container | None) -> ContainerView:
    ended = status.state.terminated or status.last_state.terminated
    limits: Mapping[str, Any] = spec.resources.get("limits") or {} if spec is not None else {}
    return ContainerView(
        name=status.name,
        instance=status.restart_count,
        is_running=status.state.running is not None,
        is_ready=status.ready,
        exit_code=ended.exit_code if ended is not None else 0,
        reason=ended.reason if ended is not None else "",
        waiting_reason=status.state.waiting.reason if status.state.waiting is not None else "",
        has_ended=ended is not None,
        has_predecessor=status.last_state.terminated is not None,
        image=spec.image if spec is not None else "",
        inputs=frozenset(str(item.get("value", "")) for item in (spec.env if spec is not None else ())),
        memory_limit=str(limits.get("memory", "")),
    )
