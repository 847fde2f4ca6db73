"""
A kubelet's `/stats/summary` to values (kubelet/pkg/apis/stats/v1alpha1). Pure.

Of a summary only what is used is decoded. Each pod is decoded by itself, so that one that is not what it should be
costs itself alone; a number that cannot be is left out. Kubelets on cri-stats, on cAdvisor and on Windows leave out
different fields: all of them may be missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from agent.errors import Undecodable
from agent.usage.amounts import amount, moment, name
from kubescribe.wire.usage import Compute, ContainerUsage, Network, NodeUsage, PodUsage, Space, VolumeUsage

MAX_PODS = 2_000
MAX_PARTS = 256
"""Containers, and volumes, of one pod."""

Number = int | float | str | None
"""As a kubelet may say it; `amount` takes what is one."""


class _Cpu(msgspec.Struct, gc=False, rename="camel"):
    time: str | None = None
    usage_nano_cores: Number = None
    usage_core_nano_seconds: Number = None


class _Memory(msgspec.Struct, gc=False, rename="camel"):
    working_set_bytes: Number = None


class _Space(msgspec.Struct, gc=False, rename="camel"):
    capacity_bytes: Number = None
    available_bytes: Number = None
    used_bytes: Number = None
    inodes: Number = None
    inodes_free: Number = None


class _Network(msgspec.Struct, gc=False, rename="camel"):
    time: str | None = None
    rx_bytes: Number = None
    tx_bytes: Number = None


class _Container(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    start_time: str | None = None
    cpu: _Cpu | None = None
    memory: _Memory | None = None
    rootfs: _Space | None = None
    logs: _Space | None = None


class _ClaimRef(msgspec.Struct, gc=False):
    name: str = ""


class _Volume(_Space, gc=False, rename="camel"):
    name: str = ""
    pvc_ref: _ClaimRef | None = None


class _PodRef(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""


class _Pod(msgspec.Struct, gc=False, rename="camel"):
    pod_ref: _PodRef
    containers: list[_Container] | None = None
    network: _Network | None = None
    volume: list[_Volume] | None = None
    ephemeral: _Space | None = msgspec.field(default=None, name="ephemeral-storage")


class _Runtime(msgspec.Struct, gc=False, rename="camel"):
    image_fs: _Space | None = None


class _Node(msgspec.Struct, gc=False, rename="camel"):
    start_time: str | None = None
    cpu: _Cpu | None = None
    memory: _Memory | None = None
    network: _Network | None = None
    fs: _Space | None = None
    runtime: _Runtime | None = None


class _Summary(msgspec.Struct, gc=False):
    node: msgspec.Raw
    pods: list[msgspec.Raw] | None = None


_SUMMARY = msgspec.json.Decoder(_Summary)
_NODE = msgspec.json.Decoder(_Node)
_POD = msgspec.json.Decoder(_Pod)
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one answer said; `undecodable` counts the pods, and the node, that were not what they should be."""

    nodes: tuple[NodeUsage, ...]
    pods: Sequence[PodUsage]
    undecodable: int


def read_summary(body: bytes, node: str) -> Summary:
    """Return what *body*, the summary of *node*, says. Raises Undecodable for what is no summary."""
    try:
        summary = _SUMMARY.decode(body)
    except _BAD as error:
        raise Undecodable(f"the summary of {node}: {error}"[:256]) from error
    undecodable = 0
    nodes: tuple[NodeUsage, ...] = ()
    try:
        nodes = (_node_usage(node, _NODE.decode(summary.node)),)
    except _BAD:
        undecodable += 1
    pods = []
    for raw in (summary.pods or ())[:MAX_PODS]:
        try:
            pod = _pod_usage(_POD.decode(raw))
        except _BAD:
            pod = None
        if pod is None:
            undecodable += 1
        else:
            pods.append(pod)
    return Summary(nodes=nodes, pods=pods, undecodable=undecodable)


def _node_usage(node: str, told: _Node) -> NodeUsage:
    return NodeUsage(
        name=node,
        compute=_compute(told.start_time, told.cpu, told.memory),
        root=_space(told.fs),
        images=_space(told.runtime.image_fs) if told.runtime else None,
        network=_network(told.network),
    )


def _pod_usage(told: _Pod) -> PodUsage | None:
    namespace, title = name(told.pod_ref.namespace), name(told.pod_ref.name)
    if not namespace or not title:
        return None
    containers = [_container(one) for one in (told.containers or ())[:MAX_PARTS] if name(one.name)]
    return PodUsage(
        namespace=namespace,
        name=title,
        uid=name(told.pod_ref.uid),
        containers=tuple({one.name: one for one in containers}.values()),
        volumes=tuple(
            VolumeUsage(
                name=one.name, claim=name(one.pvc_ref.name) if one.pvc_ref else "", space=_space(one) or Space()
            )
            for one in (told.volume or ())[:MAX_PARTS]
            if name(one.name)
        ),
        network=_network(told.network),
        disk_bytes=amount(told.ephemeral.used_bytes) if told.ephemeral else None,
    )


def _container(told: _Container) -> ContainerUsage:
    disk = [amount(space.used_bytes) for space in (told.rootfs, told.logs) if space]
    known = [used for used in disk if used is not None]
    return ContainerUsage(
        name=told.name,
        compute=_compute(told.start_time, told.cpu, told.memory),
        disk_bytes=amount(sum(known)) if known else None,
    )


def _compute(start: str | None, cpu: _Cpu | None, memory: _Memory | None) -> Compute:
    cpu = cpu or _Cpu()
    return Compute(
        at=moment(cpu.time),
        started_at=moment(start),
        cpu_nanoseconds=amount(cpu.usage_core_nano_seconds),
        cpu_nanocores=amount(cpu.usage_nano_cores),
        memory_bytes=amount(memory.working_set_bytes) if memory else None,
    )


def _space(told: _Space | None) -> Space | None:
    if told is None:
        return None
    return Space(
        capacity_bytes=amount(told.capacity_bytes),
        available_bytes=amount(told.available_bytes),
        used_bytes=amount(told.used_bytes),
        inodes=amount(told.inodes),
        inodes_free=amount(told.inodes_free),
    )


def _network(told: _Network | None) -> Network | None:
    if told is None:
        return None
    return Network(at=moment(told.time), received_bytes=amount(told.rx_bytes), sent_bytes=amount(told.tx_bytes))
