"""
`python -m simulator.logs.generate`: containers that write numbered lines, rotated and restarted as asked, for a while.

Each container is a pod of its own: `FOLDER/<namespace>_gen-<i>_<uid>/app/<N>.log`, its lines `seq=gen-<i> n=<number>`
(simulator/logs/sequence.py). At the end, and on SIGTERM, the numbers written are printed as JSON: {"gen-0": 1000, …}.
"""

import argparse
import json
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from simulator.logs.rotating import Rotation
from simulator.logs.sequence import numbered
from simulator.logs.writer import ContainerLog, LogOf

TICK_SECONDS = 0.02
BURST_LINES = 500
"""Lines written at once where the rate is unlimited."""

STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is generated; 0 means never or no limit, but one of *seconds* and *lines* is needed."""

    folder: Path
    namespace: str = "default"
    containers: int = 10
    rate: float = 1000.0
    """Lines a second of all containers."""
    seconds: float = 0.0
    lines: int = 0
    """Lines of each container."""
    line_bytes: int = 100
    long_every: int = 0
    """Each so-manieth line has 40 KB, and so comes in parts."""
    rotate_every_seconds: float = 0.0
    max_bytes: int = 10 * 1024 * 1024
    max_files: int = 5
    restart_every_seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Container:
    name: str
    log: ContainerLog
    written: int = 0
    due: float = field(default=0.0)

    def write(self, count: int, plan: Plan) -> None:
        """Write *count* lines, stdout and stderr by turns."""
        for stream_number, stream in enumerate(STREAMS):
            numbers = [
                number for number in range(self.written, self.written + count) if number // 10 % 2 == stream_number
            ]
            self.log.write((self._line(number, plan) for number in numbers), stream)
        self.written += count

    def _line(self, number: int, plan: Plan) -> str:
        is_long = plan.long_every and number % plan.long_every == plan.long_every - 1
        return numbered(self.name, number, 40_000 if is_long else plan.line_bytes)


def generate(plan: Plan, is_stopped: Callable[[], bool] = lambda: False) -> dict[str, int]:
    """Write until the plan is fulfilled or *is_stopped*; return how many lines of each container were written."""
    rotation = Rotation(max_bytes=plan.max_bytes, max_files=plan.max_files)
    containers = [_container(plan, rotation, number) for number in range(plan.containers)]
    began = rotated = restarted = time.monotonic()
    while not is_stopped():
        now = time.monotonic()
        if plan.seconds and now - began >= plan.seconds:
            break
        if plan.rotate_every_seconds and now - rotated >= plan.rotate_every_seconds:
            rotated = now
            for container in containers:
                container.log.rotate()
        if plan.restart_every_seconds and now - restarted >= plan.restart_every_seconds:
            restarted = now
            for container in containers:
                container.log.restart()
        target = (now - began) * plan.rate / plan.containers
        wrote = [_write_due(container, plan, target) for container in containers]
        if not any(wrote):
            if plan.lines and all(container.written >= plan.lines for container in containers):
                break
            time.sleep(TICK_SECONDS)
    for container in containers:
        container.log.close()
    return {container.name: container.written for container in containers}


def _write_due(container: _Container, plan: Plan, target: float) -> bool:
    due = int(target) - container.written if plan.rate else BURST_LINES
    due = min(due, BURST_LINES, plan.lines - container.written if plan.lines else BURST_LINES)
    if due <= 0:
        return False
    container.write(due, plan)
    container.log.rotate_if_due()
    return True


def _container(plan: Plan, rotation: Rotation, number: int) -> _Container:
    name = f"gen-{number}"
    uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{plan.namespace}/{name}"))
    of = LogOf(namespace=plan.namespace, pod=name, uid=uid, container="app")
    return _Container(name=name, log=ContainerLog(plan.folder, of, rotation=rotation))


def plan_of(arguments: list[str] | None) -> Plan:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulator.logs.generate", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    defaults = Plan(folder=Path())
    parser.add_argument("--namespace", default=defaults.namespace)
    for name, kind in (
        *(("containers", int), ("rate", float), ("seconds", float), ("lines", int), ("line-bytes", int)),
        *(("long-every", int), ("max-bytes", int), ("max-files", int)),
    ):
        parser.add_argument(f"--{name}", type=kind, default=getattr(defaults, name.replace("-", "_")))
    for name in ("rotate-every", "restart-every"):
        parser.add_argument(f"--{name}", dest=f"{name.replace('-', '_')}_seconds", type=float, default=0.0)
    plan = Plan(**vars(parser.parse_args(arguments)))
    if not plan.seconds and not plan.lines:
        parser.error("--seconds or --lines: one of them ends it")
    return plan


def main(arguments: list[str] | None = None) -> int:
    """Generate, and print what was written."""
    plan = plan_of(arguments)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda which, _: stopped.append(which))
    sys.stdout.write(json.dumps(generate(plan, lambda: bool(stopped))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
