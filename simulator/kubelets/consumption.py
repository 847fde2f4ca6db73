"""
How much a container, a pod or a volume uses at a moment: pure functions of who it is, since when it runs, and now.

Nothing is remembered, so that a counter grows by exactly what its rate says, and begins anew where its container does.
CPU swings around a share of what is requested, and stays at the limit where it would go over it (throttling). Memory
is steady, but for a container whose limit leaves no room: that one leaks until the OOM killer comes. Volumes fill.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.world.fates import memory_bytes

_PERIOD_SECONDS = 300.0
_LEAK_SECONDS = 6.0
"""The OOM killer of the world comes two to six seconds after the start (world/restarts.py)."""

_FILL_SECONDS = 6 * 3600.0
_DEFAULT_MILLIS = 50.0
_DEFAULT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a container wants: cores on average and their swing, and its memory, bytes."""

    cores: float
    swing: float
    phase: float
    memory: float
    leaks_to: float = 0.0

    def rate(self, seconds: float) -> float:
        """Return the cores used *seconds* after the start."""
        return self.cores + self.swing * math.sin(2 * math.pi * seconds / _PERIOD_SECONDS + self.phase)

    def total(self, seconds: float) -> float:
        """Return the core seconds used from the start until then: the integral of `rate`."""
        turn = _PERIOD_SECONDS / (2 * math.pi)
        swung = math.cos(self.phase) - math.cos(seconds / turn + self.phase)
        return max(0.0, self.cores * seconds + self.swing * turn * swung)

    def working_set(self, seconds: float) -> float:
        """Return the bytes of the working set."""
        if self.leaks_to:
            return self.leaks_to * min(0.99, 0.4 + 0.6 * seconds / _LEAK_SECONDS)
        return self.memory * (1.0 + 0.05 * math.sin(2 * math.pi * seconds / _PERIOD_SECONDS))


def demand_of(key: str, container: Mapping[str, Any]) -> Demand:
    """Return the demand of a container of a pod's spec; *key* makes it different from others', and always the same."""
    resources = container.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    share = 0.2 + 0.6 * fraction(key)
    cores = _cores(requests.get("cpu"), _DEFAULT_MILLIS) * share
    swing = cores * 0.5
    if "cpu" in limits and cores + swing > _cores(limits["cpu"], _DEFAULT_MILLIS):
        cores, swing = _cores(limits["cpu"], _DEFAULT_MILLIS), 0.0
    limit = memory_bytes(limits["memory"]) if "memory" in limits else 0
    request = memory_bytes(requests["memory"]) if "memory" in requests else _DEFAULT_BYTES
    return Demand(
        cores=cores,
        swing=swing,
        phase=2 * math.pi * fraction(key),
        memory=request * (0.5 + 0.4 * share),
        leaks_to=limit if limit and limit <= request else 0.0,
    )


def volume_used(key: str, capacity: int, seconds: float) -> int:
    """Return the bytes used of a volume *seconds* after its pod began; it ends full."""
    return int(capacity * min(1.0, 0.3 + 0.4 * fraction(key) + seconds / _FILL_SECONDS))


def network_bytes(key: str, seconds: float) -> int:
    """Return the bytes that went one way since the interface was made."""
    return int(max(0.0, seconds) * (2_000 + 200_000 * fraction(key)))


def fraction(key: str) -> float:
    """Return a number from 0 to 1 that belongs to *key*."""
    return zlib.crc32(key.encode()) / 0xFFFFFFFF


def _cores(quantity: str | None, default_millis: float) -> float:
    if quantity is None:
        return default_millis / 1000
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)
