"""
Lines of this node to Loki: the book of pods, the tailer and the sender, built and run together.

    log files ─▶ tailer ─▶ sender ─▶ Loki
                   ▲  └─▶ Gaps, counts ─▶ spool
    watches ─▶ book of pods

None of it depends on the aggregator, nor, once the pods are known, on the API server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.registry import Collector

from agent.pods.book import PodBook
from agent.pods.keeping import BookKeeper
from agent.shipping.metrics import TailCollector
from agent.tail.handing import Counted, nobody_counts
from agent.tail.naming import Naming
from agent.tail.settings import TailSettings
from agent.tail.tailer import Tailer
from kubescribe.loki.client import open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.numbers import LokiCollector
from kubescribe.loki.sending import LokiSender
from kubescribe.runtime.tasks import Part
from kubescribe.wire.records import Gap

_SENDER_STOP_SECONDS = 0.5
"""What the tailer had under way has arrived by then, or will not: it waits itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingSettings:
    """`data` is the folder of what survives a restart, `node` "" for an agent that sees several."""

    data: Path
    loki: LokiConfig
    version: str
    cluster: str
    node: str
    folder: Path
    pod_labels: tuple[str, ...]
    hold_seconds: float
    backlog_seconds: float
    count_seconds: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """What is built: `parts` in the order in which they stop, before whatever takes the Gaps does."""

    parts: Sequence[Part]
    collectors: Sequence[Collector]
    tailer: Tailer
    sender: LokiSender


@asynccontextmanager
async def open_book(path: Path, book: PodBook) -> AsyncIterator[tuple[PodBook, BookKeeper]]:
    """Yield *book* with what is kept of it in *path*, and who keeps it. Raises OSError."""
    keeper = BookKeeper(book, path)
    await keeper.open()
    yield book, keeper


@asynccontextmanager
async def open_shipping(
    settings: ShippingSettings,
    book: PodBook,
    report: Callable[[Sequence[Gap]], Awaitable[None]],
    counted: Counted = nobody_counts,
) -> AsyncIterator[Shipping]:
    """Yield the way of lines to Loki; the block owns its connections. *report* takes Gaps, durably."""
    async with open_client(settings.loki, version=settings.version) as client:
        sender = LokiSender(client)
        tailer = Tailer(
            TailSettings(
                folder=settings.folder,
                state=settings.data / "tail" / "state",
                backlog_seconds=settings.backlog_seconds,
                count_seconds=settings.count_seconds,
            ),
            Naming(
                pods=book,
                cluster=settings.cluster,
                node=settings.node,
                pod_labels=settings.pod_labels,
                hold_seconds=settings.hold_seconds,
            ),
            sender,
            report,
            take_ended=book.take_ended,
            counted=counted,
        )

        async def stop_sender() -> None:
            await sender.stop(_SENDER_STOP_SECONDS)

        yield Shipping(
            parts=[
                Part(name="tail", run=tailer.run, stop=tailer.stop),
                Part(name="loki", run=sender.run, stop=stop_sender),
            ],
            collectors=[TailCollector(tailer), LokiCollector(sender.numbers)],
            tailer=tailer,
            sender=sender,
        )
