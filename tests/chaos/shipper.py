"""
A tailer and its way to Loki as a process of its own, to be killed: `python -m tests.chaos.shipper shipper …`.

The agent's own parts with the agent's own limits but for the times, which are a test's. No API server: every line goes
under the names of its file's path. Gaps are written to a file, one JSON line each, before the tailer goes on.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from agent.tail.naming import Naming
from agent.tail.settings import TailSettings
from agent.tail.tailer import Tailer
from kubescribe.labels.pods import PodFacts
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.opening import open_sender
from kubescribe.runtime.logs import configure_logs
from kubescribe.runtime.logsettings import LogConfig
from kubescribe.runtime.loops import run as run_loop
from kubescribe.wire.records import Gap

LIMITS = SenderLimits(
    linger_seconds=0.05,
    first_retry_seconds=0.05,
    max_retry_seconds=0.3,
    first_quarantine_seconds=0.05,
    max_quarantine_seconds=0.3,
    max_setting_seconds=0.3,
)

_log = structlog.get_logger()


class NoPods:
    """Nobody has told of any pod."""

    def of_file(self, _uid: str) -> PodFacts | None:
        return None

    def is_over(self, _uid: str) -> bool:
        return False

    def zone_of(self, _node: str) -> str | None:
        return ""

    def is_zone_coming(self, _node: str) -> bool:
        return False

    def is_list_coming(self) -> bool:
        return False


async def run(logs: Path, data: Path, loki: str) -> None:
    """Tail *logs* until killed."""
    gaps = (data / "gaps.ndjson").open("ab")

    def write(found: Sequence[Gap]) -> None:
        gaps.write(b"".join(msgspec.json.encode(gap) + b"\n" for gap in found))
        gaps.flush()
        os.fsync(gaps.fileno())

    async def report(found: Sequence[Gap]) -> None:
        await asyncio.to_thread(write, found)

    settings = TailSettings(
        folder=logs, state=data / "tail.state", look_seconds=0.1, save_seconds=0.1, scan_seconds=0.2, idle_seconds=1.0
    )
    async with open_sender(LokiConfig(url=loki), version="test", limits=LIMITS) as sender:
        tailer = Tailer(settings, Naming(pods=NoPods(), cluster="eu", hold_seconds=0.0), sender, report)
        _log.info("shipper.running")
        await asyncio.gather(sender.run(), tailer.run())


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    # The role's name, which whoever starts a daemon puts before its options.
    parser.add_argument("role", choices=["shipper"])
    parser.add_argument("--logs", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--loki", required=True)
    given = parser.parse_args()
    configure_logs(LogConfig(format="json"))
    given.data.mkdir(parents=True, exist_ok=True)
    run_loop(run(given.logs, given.data, given.loki))


if __name__ == "__main__":
    main()
