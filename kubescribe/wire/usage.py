"""
What a node's kubelet, or metrics.k8s.io, told of usage: the values inside `kubescribe.wire.link.Usage`.

None of it is history: the aggregator keeps the last values in memory, and a value that was never read is None, never 0.
Times are integer nanoseconds since the Unix epoch. Counters (`…_nanoseconds`, `…_bytes` of networks) grow for as long
as `started_at` stays what it is.
"""

from typing import Annotated

import msgspec

from kubescribe.wire.records import MAX_INTEGER, Integer, Value

Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
"""A number that cannot be negative; what a kubelet says besides is left out by the agent."""


class Compute(Value, frozen=True, kw_only=True):
    """
    CPU and memory of a container, or of a node, as of `at`.

    `cpu_nanoseconds` is the time used since `started_at`, `cpu_nanocores` the rate that the source itself measured.
    """

    at: Integer = 0
    started_at: Integer = 0
    cpu_nanoseconds: Amount | None = None
    cpu_nanocores: Amount | None = None
    memory_bytes: Amount | None = None
    """The working set: what the OOM killer and evictions look at."""


class Space(Value, frozen=True, kw_only=True):
    """A file system, or a volume; `used_bytes` need not be capacity less available (reserved blocks, quotas)."""

    capacity_bytes: Amount | None = None
    available_bytes: Amount | None = None
    used_bytes: Amount | None = None
    inodes: Amount | None = None
    inodes_free: Amount | None = None


class Network(Value, frozen=True, kw_only=True):
    """Bytes since the interface was made, of a pod or of a node's default interface."""

    at: Integer = 0
    received_bytes: Amount | None = None
    sent_bytes: Amount | None = None


class ContainerUsage(Value, frozen=True, kw_only=True):
    """One container; `disk_bytes` is its writable layer and its logs."""

    name: str
    compute: Compute = Compute()
    disk_bytes: Amount | None = None


class VolumeUsage(Value, frozen=True, kw_only=True):
    """One volume of a pod; `claim` is the name of its PersistentVolumeClaim, "" for a volume without one."""

    name: str
    claim: str = ""
    space: Space = Space()


class PodUsage(Value, frozen=True, kw_only=True):
    """One pod; `uid` is "" where the source does not tell it, and of a static pod that of its files."""

    namespace: str
    name: str
    uid: str = ""
    containers: tuple[ContainerUsage, ...] = ()
    volumes: tuple[VolumeUsage, ...] = ()
    network: Network | None = None
    disk_bytes: Amount | None = None
    """Ephemeral storage, emptyDir volumes included: what the limit on it counts."""


class NodeUsage(Value, frozen=True, kw_only=True):
    """One node as a whole; `root` is the kubelet's file system, `images` that of images and writable layers."""

    name: str
    compute: Compute = Compute()
    root: Space | None = None
    images: Space | None = None
    network: Network | None = None


MAX_PODS = 256
"""In one message: more travel in several, so that a batch never waits for a long one."""
