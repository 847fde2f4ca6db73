"""How much may wait for Loki in memory, in all, for a tenant and for a stream; whoever brings more waits."""

import asyncio
from collections import Counter
from typing import NamedTuple

STREAM_SHARE = 1 / 4
TENANT_SHARE = 3 / 4
"""Of all the room: a stream or tenant that Loki holds up leaves some to the others."""


class _Waiter(NamedTuple):
    key: tuple[str, str]
    size: int
    admitted: "asyncio.Future[bool]"


class Room:
    """Counts bytes; of one stream, who came first goes in first. A piece larger than a share has it for itself."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._of_tenants: Counter[str] = Counter()
        self._of_streams: Counter[tuple[str, str]] = Counter()
        self._line: list[_Waiter] = []

    @property
    def used_bytes(self) -> int:
        """What waits for Loki."""
        return self._used

    def holds(self, tenant: str) -> bool:
        """Tell whether something of *tenant* waits."""
        return tenant in self._of_tenants

    async def enter(self, tenant: str, labels: str, size: int) -> bool:
        """Wait for room for *size* bytes and take it; False when the room was closed. When cancelled it took none."""
        key = (tenant, labels)
        if self._has(key, size) and not any(waiter.key == key for waiter in self._line):
            self._take(key, size)
            return True
        waiter = _Waiter(key, size, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        try:
            return await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled() and waiter.admitted.result():
                self.leave(tenant, labels, size)
            raise
        finally:
            if waiter in self._line:
                self._line.remove(waiter)

    def leave(self, tenant: str, labels: str, size: int) -> None:
        """Give back what was taken, to those who wait."""
        key = (tenant, labels)
        self._used -= size
        self._of_tenants[tenant] -= size
        if self._of_tenants[tenant] <= 0:
            del self._of_tenants[tenant]
        self._of_streams[key] -= size
        if self._of_streams[key] <= 0:
            del self._of_streams[key]
        self._admit()

    def close(self) -> None:
        """Send away everybody who waits."""
        for waiter in self._line:
            if not waiter.admitted.done():
                waiter.admitted.set_result(False)

    def _admit(self) -> None:
        passed_over: set[tuple[str, str]] = set()
        for waiter in self._line:
            if waiter.admitted.done():
                continue
            if waiter.key not in passed_over and self._has(waiter.key, waiter.size):
                self._take(waiter.key, waiter.size)
                waiter.admitted.set_result(True)
            else:
                passed_over.add(waiter.key)
            if self._used >= self._max_bytes:
                return

    def _has(self, key: tuple[str, str], size: int) -> bool:
        most = self._max_bytes
        return (
            (not self._used or self._used + size <= most)
            and _fits(self._of_tenants[key[0]], size, most * TENANT_SHARE)
            and _fits(self._of_streams[key], size, most * STREAM_SHARE)
        )

    def _take(self, key: tuple[str, str], size: int) -> None:
        self._used += size
        self._of_tenants[key[0]] += size
        self._of_streams[key] += size


def _fits(used: int, size: int, share: float) -> bool:
    return not used or used + size <= share
