"""What /metrics and usage need of a node: its conditions, and what may be given away of it. Pure."""

import re
from collections.abc import Mapping
from sys import intern

import msgspec

from kubescribe.kube.quantities import quantity

TRUE, FALSE, UNKNOWN = 1, 0, -1
MAX_CONDITIONS = 32
"""The kubelet tells five, node-problem-detector some ten more."""

MACHINE, FARGATE, VIRTUAL = "machine", "fargate", "virtual"
"""What a node is made of: only on a machine do DaemonSets run, and so an agent."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._/-]{0,63}")


class NodeState(msgspec.Struct, frozen=True, gc=False):
    """
    A node that is not gone; `conditions` are (type, 1, 0 or -1), what is allocatable cores and bytes.

    Where it stands and what it is, is empty where nobody says.
    """

    name: str
    conditions: tuple[tuple[str, int], ...]
    cpu: float | None = None
    memory: float | None = None
    zone: str = ""
    instance_type: str = ""
    capacity_type: str = ""
    """`spot`, `on-demand` or `reserved`, whoever made the node."""
    kubelet_version: str = ""
    os: str = ""
    host: str = MACHINE


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""


class _Info(msgspec.Struct, gc=False, rename="camel"):
    kubelet_version: str = ""


class _Status(msgspec.Struct, gc=False, rename="camel"):
    conditions: list[_Condition] | None = None
    allocatable: dict[str, str | int | float] | None = None
    node_info: _Info | None = None


class _Metadata(msgspec.Struct, gc=False):
    labels: dict[str, str] | None = None


class _Node(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None
    status: _Status | None = None


_NODE = msgspec.json.Decoder(_Node)
_CAPACITY_TYPES = ("karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType")
"""Karpenter's says `on-demand`, that of managed node groups `ON_DEMAND`."""

_VALUES = {"True": TRUE, "False": FALSE}


def node_state(body: bytes, *, name: str) -> NodeState:
    """Return the state of the node *body*, JSON. Raises ValueError."""
    node = _NODE.decode(body)
    status = node.status or _Status()
    labels = (node.metadata or _Metadata()).labels or {}
    told = (status.conditions or ())[:MAX_CONDITIONS]
    values = {intern(it.type): _VALUES.get(it.status, UNKNOWN) for it in told if _NAME.fullmatch(it.type)}
    room = status.allocatable or {}
    return NodeState(
        name=name,
        conditions=tuple(values.items()),
        cpu=quantity(str(room.get("cpu", ""))),
        memory=quantity(str(room.get("memory", ""))),
        zone=intern(labels.get("topology.kubernetes.io/zone", "")),
        instance_type=intern(labels.get("node.kubernetes.io/instance-type", "")),
        capacity_type=next(
            (intern(labels[it].lower().replace("_", "-")) for it in _CAPACITY_TYPES if labels.get(it)), ""
        ),
        kubelet_version=intern((status.node_info or _Info()).kubelet_version),
        os=intern(labels.get("kubernetes.io/os", "")),
        host=_host(labels),
    )


def _host(labels: Mapping[str, str]) -> str:
    """Return what a node is made of, by the labels that the chart's DaemonSet avoids."""
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return FARGATE
    return VIRTUAL if labels.get("type") == "virtual-kubelet" else MACHINE
