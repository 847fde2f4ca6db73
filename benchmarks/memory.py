"""What processes hold in memory, as Linux counts it."""

import asyncio
import time
from pathlib import Path

_QUIET_BYTES = 2**20
_LOOK_SECONDS = 0.5


def resident_bytes(pid: int) -> int:
    """Return what the process holds now (VmRSS)."""
    return _field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return the most that the process has held so far (VmHWM)."""
    return _field(pid, "VmHWM")


async def settled_bytes(pid: int, *, quiet_seconds: float = 3.0, patience_seconds: float = 30.0) -> int:
    """Return what the process holds once that has stayed the same, by a MiB, for *quiet_seconds*."""
    deadline = time.monotonic() + patience_seconds
    last, since = resident_bytes(pid), time.monotonic()
    while time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
        now = resident_bytes(pid)
        if abs(now - last) > _QUIET_BYTES:
            last, since = now, time.monotonic()
        elif time.monotonic() - since >= quiet_seconds:
            break
    return resident_bytes(pid)


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} tells no {name}")
