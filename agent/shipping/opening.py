"""
What brings lines to Loki, opened as the settings say: those of the node's files, and those that its shippers push.

Both stand on one book of pods and share one way to Loki, so that one is not in the other's way there.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client.registry import Collector

from agent.config import AgentConfig
from agent.pods.book import PodBook
from agent.pods.keeping import forget_book
from agent.shipping.shipping import ShippingSettings, open_book, open_shipping
from agent.tail.handing import Counted
from kubescribe.loki.numbers import LokiCollector
from kubescribe.loki.opening import open_sender
from kubescribe.runtime.process import version_string
from kubescribe.runtime.tasks import Part
from kubescribe.wire.records import Gap


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParts:
    """
    What deals with containers' lines.

    `first` stop before the watches do and `last` after them, each in this order; `book` is to be shown every Change,
    and its marks, and `keep` returns when what it learned is on the disk. Of streams that are not `whole` in it, it has
    to be shown what there is, although the watch goes on where an earlier life, without a book, left it.
    """

    first: Sequence[Part] = ()
    last: Sequence[Part] = ()
    collectors: Sequence[Collector] = ()
    book: PodBook | None = None
    keep: Callable[[], Awaitable[None]] = _nothing


@asynccontextmanager
async def open_line_parts(
    config: AgentConfig, *, cluster: str, report: Callable[[Sequence[Gap]], Awaitable[None]], counted: Counted
) -> AsyncIterator[LineParts]:
    """
    Yield what brings lines to Loki; *report* takes Gaps, *counted* how many lines there were, both durably.

    Files are read in the profile `standalone`, with a Loki, by an agent that has a node; shippers are served where the
    gateway is told to listen. Raises StartupError and OSError.
    """
    path = config.data / "pods" / "book"
    ships = config.profile == "standalone" and config.loki.url is not None and config.scope != "cluster"
    if not ships and config.gateway.listen is None:
        await forget_book(path)
        yield LineParts()
        return
    async with AsyncExitStack() as stack:
        opening = open_book(path, _book(config))
        book, keeper = await stack.enter_async_context(opening)
        if ships:
            shipping = await stack.enter_async_context(open_shipping(_shipping(config, cluster), book, report, counted))
            sender, parts, collectors = shipping.sender, list(shipping.parts), list(shipping.collectors)
        else:
            sender = await stack.enter_async_context(open_sender(config.loki, version=version_string()))
            parts = [Part(name="loki", run=sender.run, stop=sender.stop)]
            collectors = [LokiCollector(sender.numbers)]
        if config.gateway.listen is not None:
            # Only who runs a gateway pays for it: protobuf alone is 5 MB.
            from agent.shipping.gateway import NodeGatewaySettings, open_node_gateway  # noqa: PLC0415

            settings = NodeGatewaySettings(
                gateway=config.gateway,
                listen=config.gateway.listen,
                token_file=config.gateway.token_file,
                folder=config.data / "gateway",
                tenant=config.loki.tenant,
                cluster=cluster,
                node=config.node,
                pod_labels=config.logs.pod_labels,
                free_floor=config.spool.free_floor,
            )
            gateway = await stack.enter_async_context(open_node_gateway(settings, book, sender))
            # Before the sender, whose outcomes it waits for.
            parts.insert(-1, gateway.part)
            collectors.append(gateway.collector)
        keeping = Part(name="pods", run=keeper.run, stop=keeper.stop)
        yield LineParts(first=parts, last=[keeping], collectors=collectors, book=book, keep=keeper.save)


def _book(config: AgentConfig) -> PodBook:
    first = config.logs.first_hold_seconds
    # The key of redaction, without which nothing is listed, comes from the aggregator, which may just be made.
    until_listed = first + config.watch.start_jitter_seconds + config.logs.hold_seconds
    return PodBook(now_ns=time.time_ns, first_list_seconds=until_listed, zone_seconds=first)


def _shipping(config: AgentConfig, cluster: str) -> ShippingSettings:
    return ShippingSettings(
        data=config.data,
        loki=config.loki,
        version=version_string(),
        cluster=cluster,
        node=config.node,
        folder=config.logs.folder,
        pod_labels=config.logs.pod_labels,
        hold_seconds=config.logs.hold_seconds,
        backlog_seconds=config.logs.backlog_seconds,
        count_seconds=config.logs.count_interval_seconds,
    )
