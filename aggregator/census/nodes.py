"""What /metrics and usage need of a node: its conditions, and what may be given away of it. Pure."""

import re
from collections.abc import Mapping
from sys import intern
from typing import NamedTuple

import msgspec

from kubescribe.kube.quantities import quantity

TRUE, FALSE, UNKNOWN = 1, 0, -1
MAX_CONDITIONS = 32
"""The kubelet tells five, node-problem-detector some ten more."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._/-]{0,63}")


MACHINE, FARGATE, VIRTUAL = "machine", "fargate", "virtual"
"""What is behind a node: only on a machine do DaemonSets run, and so an agent."""


class NodeInfo(NamedTuple):
    """What the labels of a node say of it, "" for what they do not; `host` is MACHINE, FARGATE or VIRTUAL."""

    zone: str = ""
    instance_type: str = ""
    os: str = ""
    host: str = MACHINE


class NodeState(msgspec.Struct, frozen=True, gc=False):
    """A node that is not gone; `conditions` are (type, 1, 0 or -1), what is allocatable cores and bytes."""

    name: str
    conditions: tuple[tuple[str, int], ...]
    cpu: float | None = None
    memory: float | None = None
    info: NodeInfo = NodeInfo()


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, gc=False):
    conditions: list[_Condition] | None = None
    allocatable: dict[str, str | int | float] | None = None


class _Metadata(msgspec.Struct, gc=False):
    labels: dict[str, str] | None = None


class _Node(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None
    status: _Status | None = None


_NODE = msgspec.json.Decoder(_Node)
_VALUES = {"True": TRUE, "False": FALSE}


def node_state(body: bytes, *, name: str) -> NodeState:
    """Return the state of the node *body*, JSON. Raises ValueError."""
    node = _NODE.decode(body)
    status, labels = node.status or _Status(), (node.metadata or _Metadata()).labels or {}
    told = (status.conditions or ())[:MAX_CONDITIONS]
    values = {intern(it.type): _VALUES.get(it.status, UNKNOWN) for it in told if _NAME.fullmatch(it.type)}
    room = status.allocatable or {}
    return NodeState(
        name=name,
        conditions=tuple(values.items()),
        cpu=quantity(str(room.get("cpu", ""))),
        memory=quantity(str(room.get("memory", ""))),
        info=_info(labels),
    )


def _info(labels: Mapping[str, str]) -> NodeInfo:
    host = MACHINE
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        host = FARGATE
    elif labels.get("type") == "virtual-kubelet":
        host = VIRTUAL
    zone, instance_type, os = (
        # A label's value has 63 characters at most, by the API server's own rule.
        intern(labels.get(key, "")[:63])
        for key in ("topology.kubernetes.io/zone", "node.kubernetes.io/instance-type", "kubernetes.io/os")
    )
    return NodeInfo(zone, instance_type, os, host)
