"""What /metrics and usage need of a node: its conditions, and what may be given away of it. Pure."""

import re
from sys import intern

import msgspec

from kubescribe.kube.quantities import quantity

TRUE, FALSE, UNKNOWN = 1, 0, -1
MAX_CONDITIONS = 32
"""The kubelet tells five, node-problem-detector some ten more."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._/-]{0,63}")


class NodeState(msgspec.Struct, frozen=True, gc=False):
    """A node that is not gone; `conditions` are (type, 1, 0 or -1), what is allocatable cores and bytes."""

    name: str
    conditions: tuple[tuple[str, int], ...]
    cpu: float | None = None
    memory: float | None = None


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, gc=False):
    conditions: list[_Condition] | None = None
    allocatable: dict[str, str | int | float] | None = None


class _Node(msgspec.Struct, gc=False):
    status: _Status | None = None


_NODE = msgspec.json.Decoder(_Node)
_VALUES = {"True": TRUE, "False": FALSE}


def node_state(body: bytes, *, name: str) -> NodeState:
    """Return the state of the node *body*, JSON. Raises ValueError."""
    status = _NODE.decode(body).status or _Status()
    told = (status.conditions or ())[:MAX_CONDITIONS]
    values = {intern(it.type): _VALUES.get(it.status, UNKNOWN) for it in told if _NAME.fullmatch(it.type)}
    room = status.allocatable or {}
    return NodeState(
        name=name,
        conditions=tuple(values.items()),
        cpu=quantity(str(room.get("cpu", ""))),
        memory=quantity(str(room.get("memory", ""))),
    )
