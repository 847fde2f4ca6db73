"""A tailer on a folder of its own, before the stand-in for Loki, with the real way there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio

from agent.pods.ending import Ended
from agent.tail.naming import Naming
from agent.tail.settings import TailSettings
from agent.tail.tailer import Tailer
from kubescribe.labels.pods import PodFacts
from kubescribe.loki.client import open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.limits import SenderLimits
from kubescribe.loki.sending import LokiSender
from kubescribe.wire.records import Gap, LineCounts
from simulator.logs.rotating import Rotation
from simulator.logs.writer import ContainerLog, LogOf
from simulator.loki.app import RunningLoki, running_loki

QUICK = SenderLimits(
    linger_seconds=0.01,
    idle_linger_seconds=0.0,
    first_retry_seconds=0.01,
    max_retry_seconds=0.05,
    first_quarantine_seconds=0.01,
    max_quarantine_seconds=0.05,
    max_setting_seconds=0.05,
)


class KnownPods:
    """Pods by the uid of their files; a zone for every node once `zone` is set."""

    def __init__(self) -> None:
        self.pods: dict[str, PodFacts] = {}
        self.over: set[str] = set()
        self.zone: str | None = "zone-a"
        self.comes_later = False

    def of_file(self, uid: str) -> PodFacts | None:
        return self.pods.get(uid)

    def is_over(self, uid: str) -> bool:
        return uid in self.over

    def zone_of(self, _node: str) -> str | None:
        return self.zone

    def is_zone_coming(self, _node: str) -> bool:
        return self.comes_later

    def is_list_coming(self) -> bool:
        return self.comes_later


@dataclass
class Node:
    """One node: log files, known pods, a Loki, Gaps that were told; `tailing` is a life of the agent."""

    folder: Path
    loki: RunningLoki
    settings: TailSettings
    pods: KnownPods = field(default_factory=KnownPods)
    gaps: list[Gap] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    counts: dict[tuple[str, int], LineCounts] = field(default_factory=dict)
    takes_counts: bool = True
    hold_seconds: float = 0.0
    tailer: Tailer | None = None

    def container(
        self,
        pod: str = "web-0",
        *,
        uid: str = "",
        known: bool = True,
        max_files: int = 5,
        labels: dict[str, str] | None = None,
    ) -> ContainerLog:
        uid = uid or f"0000{pod.encode().hex()}"
        if known:
            self.pods.pods[uid] = PodFacts(
                namespace="shop", name=pod, uid=uid, node="n1", labels=labels or {"app": "web"}
            )
        of = LogOf(namespace="shop", pod=pod, uid=uid, container="app")
        return ContainerLog(self.folder, of, rotation=Rotation(max_files=max_files))

    @asynccontextmanager
    async def tailing(self, **changes: object) -> AsyncIterator[Tailer]:
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        naming = Naming(pods=self.pods, cluster="c1", node="n1", hold_seconds=self.hold_seconds)
        async with open_client(LokiConfig(url=self.loki.url), version="test") as client:
            sender = LokiSender(client, limits=QUICK)
            tailer = self.tailer = Tailer(
                settings, naming, sender, self.report, take_ended=self.take_ended, counted=self.counted
            )
            running = [asyncio.create_task(sender.run()), asyncio.create_task(tailer.run())]
            try:
                yield tailer
            finally:
                await tailer.stop()
                await asyncio.wait([running[1]])
                await sender.stop(0.0)
                await asyncio.gather(*running)

    async def crashing(self, *, seconds: float) -> None:
        """Live for *seconds* and die without a word: what is not on disk by then never was."""
        async with open_client(LokiConfig(url=self.loki.url), version="test") as client:
            sender = LokiSender(client, limits=QUICK)
            naming = Naming(pods=self.pods, cluster="c1", node="n1", hold_seconds=self.hold_seconds)
            tailer = Tailer(self.settings, naming, sender, self.report, counted=self.counted)
            running = [asyncio.create_task(sender.run()), asyncio.create_task(tailer.run())]
            await asyncio.wait(running, timeout=seconds)
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    async def report(self, gaps: Sequence[Gap]) -> None:
        self.gaps += gaps

    def take_ended(self, _before: int) -> list[Ended]:
        taken, self.ended = self.ended, []
        return taken

    async def counted(self, record: LineCounts) -> bool:
        if self.takes_counts:
            # As ingest does: what comes under a number that was counted counts no more.
            self.counts.setdefault((record.source, record.n), record)
        return self.takes_counts

    def total(self) -> Counter[tuple[str, str, str]]:
        total: Counter[tuple[str, str, str]] = Counter()
        for record in self.counts.values():
            total.update({(it.namespace, it.workload, it.level): it.count for it in record.counts})
        return total

    def lines(self) -> list[str]:
        return [entry.line for entry in self.loki.entries()]


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    folder = tmp_path / "pods"
    folder.mkdir()
    async with running_loki() as loki:
        yield Node(
            folder=folder,
            loki=loki,
            settings=TailSettings(
                folder=folder,
                state=tmp_path / "data" / "tail.state",
                look_seconds=0.02,
                save_seconds=0.02,
                count_seconds=0.02,
                idle_seconds=0.05,
                scan_seconds=0.05,
                notified_scan_seconds=60.0,
            ),
        )


@pytest.fixture
def eventually() -> Callable[..., object]:
    async def wait(condition: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
