"""
What a scrape needs of a pod, put together when it is told of: labels as they stand in a line, and values. Pure.

All of it is at hand at that moment; a scrape would look for it in twenty places of memory for each of 20,000 pods.
"""

from collections.abc import Mapping

import msgspec

from aggregator.outlets.usage.steady import SteadyCounter
from kubescribe.wire.usage import PodUsage


class ToldContainer(msgspec.Struct, frozen=True, gc=False):
    """What /metrics shows of one container; `block` is its labels as they stand there."""

    block: str
    cpu_seconds: float | None
    memory_bytes: int | None
    disk_bytes: int | None


class ToldPod(msgspec.Struct, frozen=True, gc=False):
    """What /metrics shows of one pod itself."""

    block: str
    received_bytes: int | None
    sent_bytes: int | None
    disk_bytes: int | None
    containers: tuple[ToldContainer, ...]


def block_of(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Return labels as they stand in a line of /metrics; nothing is escaped, since only plain names are taken here."""
    return "{" + ",".join([f'{name}="{value}"' for name, value in zip(names, values, strict=True)]) + "} "


def labels_in(block: str) -> tuple[str, ...]:
    """Return the label values that stand in a block."""
    return tuple(block.split('"')[1::2])


def blocks_of(pod: PodUsage, node: str) -> dict[str, str]:
    """Return the blocks of a pod's containers, by name, and its own as ""."""
    start = f'{{namespace="{pod.namespace}",pod="{pod.name}",'
    own = {it.name: f'{start}container="{it.name}",node="{node}"}} ' for it in pod.containers}
    return {"": f'{start}node="{node}"}} ', **own}


def shown_of(
    pod: PodUsage,
    blocks: Mapping[str, str],
    cpu: Mapping[str, SteadyCounter],
    *,
    received: SteadyCounter,
    sent: SteadyCounter,
) -> ToldPod:
    """Return what /metrics shows of *pod*, whose counters and blocks are these; "" is the block of its own."""
    containers = [
        ToldContainer(blocks[it.name], seconds_of(cpu[it.name]), it.compute.memory_bytes, it.disk_bytes)
        for it in pod.containers
    ]
    return ToldPod(blocks[""], received.value, sent.value, pod.disk_bytes, tuple(containers))


def seconds_of(counter: SteadyCounter | None) -> float | None:
    """Return what may be exported of a counter of nanoseconds, None for nothing."""
    if counter is None or counter.value is None:
        return None
    return counter.value / 1e9
