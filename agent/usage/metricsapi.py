"""
The lists of metrics.k8s.io/v1beta1 to values: rates and working sets of containers and nodes, and nothing else. Pure.

It has no counters, no volumes, no networks and no uids; it is for clusters, or nodes, whose kubelets nobody asks.
"""

from collections.abc import Sequence

import msgspec

from agent.errors import Undecodable
from agent.usage.amounts import amount, moment, name
from kubescribe.kube.quantities import quantity
from kubescribe.wire.usage import Compute, ContainerUsage, NodeUsage, PodUsage

PODS = "/apis/metrics.k8s.io/v1beta1/pods"
NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
MAX_CONTAINERS = 256


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


class _Usage(msgspec.Struct, gc=False):
    cpu: str | int | float | None = None
    memory: str | int | float | None = None


class _Container(msgspec.Struct, gc=False):
    name: str = ""
    usage: _Usage | None = None


class _Item(msgspec.Struct, gc=False):
    metadata: _Meta
    timestamp: str | None = None
    usage: _Usage | None = None
    containers: list[_Container] | None = None


class _List(msgspec.Struct, gc=False):
    items: list[msgspec.Raw] | None


_LIST = msgspec.json.Decoder(_List)
_ITEM = msgspec.json.Decoder(_Item)
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_pods(body: bytes) -> tuple[list[PodUsage], int]:
    """Return the pods, and how many items were not what they should be. Raises Undecodable."""
    items, undecodable = _items(body, "pods")
    pods = []
    for item in items:
        namespace, title = name(item.metadata.namespace), name(item.metadata.name)
        if not namespace or not title:
            undecodable += 1
            continue
        containers = {
            one.name: ContainerUsage(name=one.name, compute=_compute(item.timestamp, one.usage))
            for one in (item.containers or ())[:MAX_CONTAINERS]
            if name(one.name)
        }
        pods.append(PodUsage(namespace=namespace, name=title, containers=tuple(containers.values())))
    return pods, undecodable


def read_nodes(body: bytes) -> tuple[list[NodeUsage], int]:
    """Return the nodes, and how many items were not what they should be. Raises Undecodable."""
    items, undecodable = _items(body, "nodes")
    named = [(name(item.metadata.name), item) for item in items]
    nodes = [NodeUsage(name=node, compute=_compute(item.timestamp, item.usage)) for node, item in named if node]
    return nodes, undecodable + len(named) - len(nodes)


def _items(body: bytes, what: str) -> tuple[Sequence[_Item], int]:
    try:
        raws = _LIST.decode(body).items or []
    except _BAD as error:
        raise Undecodable(f"metrics.k8s.io {what}: {error}"[:256]) from error
    found = []
    for raw in raws:
        try:
            found.append(_ITEM.decode(raw))
        except _BAD:
            continue
    return found, len(raws) - len(found)


def _compute(timestamp: str | None, usage: _Usage | None) -> Compute:
    usage = usage or _Usage()
    return Compute(at=moment(timestamp), cpu_nanocores=_scaled(usage.cpu, 1e9), memory_bytes=_scaled(usage.memory, 1.0))


def _scaled(text: str | float | None, factor: float) -> int | None:
    number = None if text is None else quantity(str(text))
    return None if number is None else amount(number * factor)
