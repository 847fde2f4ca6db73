"""
The composition of an aggregator: builds every part, connects them, owns their start and stop. Nothing else does.

    links ─▶ reception ─▶ pipeline ─▶ journal
                             └ after the commit ─▶ hub ─▶ feed
                                              └──▶ gauges ─▶ /metrics
                                       journal ─▶ outlets/loki ─▶ Loki ◀─ gateway ◀─ shippers
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from aggregator.config import AggregatorConfig
from aggregator.errors import StoreError, StoreUnusable
from aggregator.ingest.adopting import Adopting
from aggregator.ingest.apiserver import open_api_server
from aggregator.ingest.coverage import Coverage
from aggregator.ingest.departed import Departed, Sweeping
from aggregator.ingest.enrolling import Enrolling
from aggregator.ingest.link import LinkServer
from aggregator.ingest.peers import Anybody, Authenticator, OneOf
from aggregator.ingest.pipeline import Committed, Limits, Pipeline
from aggregator.ingest.presence import Roster
from aggregator.ingest.reception import Reception
from aggregator.ingest.recorder import IngestRecorder
from aggregator.ingest.reviews import TokenReviews
from aggregator.ingest.settling import Settling
from aggregator.ingest.zones import zones_in
from aggregator.logs.following import Tails
from aggregator.logs.loki import LokiLines
from aggregator.logs.reading import NodeLines
from aggregator.metrics import AggregatorMetrics
from aggregator.outlets.bounds import JournalBounds
from aggregator.outlets.gauges import ClusterGauges
from aggregator.outlets.hub import FeedLimits, Hub
from aggregator.outlets.loki.outlet import LokiOutlet
from aggregator.outlets.podindex import PodIndex
from aggregator.outlets.usage.desk import UsageDesk
from aggregator.records import JournalState
from aggregator.store.base import Journal, Pruned
from aggregator.store.opening import folder_of, open_journal
from aggregator.store.retention import Retention
from aggregator.web.app import SHUTDOWN_SECONDS, machines_app, observability_app, public_app
from aggregator.web.guarding import Guard, TokenHolders
from aggregator.web.parts import WebParts
from kubescribe.gateway.gateway import Route, open_gateway
from kubescribe.kube.access import find_access
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.loki.numbers import LokiCollector
from kubescribe.loki.opening import open_connections, open_sender
from kubescribe.runtime.allocating import keep_giving_back
from kubescribe.runtime.errors import StartupError
from kubescribe.runtime.loops import keep_collections_short, watch_stalls
from kubescribe.runtime.process import version_string
from kubescribe.runtime.serving import serving
from kubescribe.runtime.tasks import Part, run_parts, run_until
from kubescribe.runtime.tokens import TokenFileUnusable, Tokens
from kubescribe.wire.records import Change

_log = structlog.get_logger()

_FACTS_SECONDS = 10.0
"""How old what /metrics says of the journal's size may be; a scrape never waits for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningAggregator:
    """
    An aggregator that listens; its `parts` have yet to be run, in this order of stopping.

    `loki` is the collector of its way to Loki, None without one: who has another way in this process adds it there.
    """

    parts: Sequence[Part]
    http_url: str
    ingest_url: str
    metrics_url: str
    loki: LokiCollector | None = None


async def run(config: AggregatorConfig, stop: asyncio.Event) -> None:
    """Run an aggregator until *stop*. Raises StoreUnusable or a StartupError when it cannot start."""
    async with assembled(config, CollectorRegistry()) as aggregator:
        _log.info(
            "aggregator.listening",
            http=aggregator.http_url + config.http.base_path,
            ingest=aggregator.ingest_url,
            metrics=aggregator.metrics_url,
        )
        await run_parts(stop, aggregator.parts)


@asynccontextmanager
async def assembled(
    config: AggregatorConfig, registry: CollectorRegistry, *, cluster_uid: str = ""
) -> AsyncIterator[RunningAggregator]:
    """
    Build an aggregator and listen while the block runs.

    With *cluster_uid* the journal must be that cluster's. *registry* takes the metrics, so that others can share it.
    """
    async with AsyncExitStack() as stack:
        guard = _guard(config)
        authenticator = await stack.enter_async_context(_authenticator(config, guard))
        journal = open_journal(_store_url(config), cluster_uid=cluster_uid)
        stack.push_async_callback(journal.close)
        state = await journal.open()
        pods = PodIndex(journal, now_ns=time.time_ns) if config.loki.url is not None else None
        parts, reception, link, web = _connect(
            config, registry, journal, state, guard, authenticator=authenticator, seen=pods.observe if pods else _ignore
        )
        to_loki = await stack.enter_async_context(_to_loki(config, registry, web, pods))
        parts += to_loki.parts
        web.lines.loki = await stack.enter_async_context(_remembered_lines(config))
        machines = machines_app(guard, to_loki.routes)
        link.add_to(machines)
        observability = observability_app(registry, web.recorder)
        ingest = await stack.enter_async_context(
            serving(
                machines,
                config.ingest.listen,
                option="--ingest",
                shutdown_seconds=SHUTDOWN_SECONDS,
                auto_decompress=False,  # the gateway unpacks bodies itself, in its thread and within its limits
            )
        )
        http = await stack.enter_async_context(
            serving(public_app(web), config.http.listen, option="--http", shutdown_seconds=SHUTDOWN_SECONDS)
        )
        metrics = await stack.enter_async_context(serving(observability, config.metrics, option="--metrics"))
        stack.push_async_callback(reception.close)
        yield RunningAggregator(
            parts=parts, http_url=http.url, ingest_url=ingest.url, metrics_url=metrics.url, loki=to_loki.collector
        )


def _store_url(config: AggregatorConfig) -> str:
    if config.store.url == "memory":
        return "memory:"
    if config.store.url != "sqlite":
        return config.store.url
    return str(Path(config.data).absolute() / "journal.db")


def _bounds(config: AggregatorConfig) -> JournalBounds:
    return JournalBounds(
        max_bytes=config.store.retention_bytes,
        age_seconds=config.store.retention_age,
        folder=folder_of(_store_url(config)),
    )


def _guard(config: AggregatorConfig) -> Guard:
    if config.token_file is None:
        return Guard(None)
    try:
        return Guard(Tokens(config.token_file, clock=time.monotonic))
    except TokenFileUnusable as error:
        raise StartupError(f"--token-file: {error}") from error


@asynccontextmanager
async def _authenticator(config: AggregatorConfig, guard: Guard) -> AsyncIterator[Authenticator]:
    """Yield what tells whose a token is; the block owns its connections. Raises AccessError."""
    ways: list[Authenticator] = [TokenHolders(guard)] if guard.asks else []
    if not config.ingest.audience:
        yield OneOf(*ways) if ways else Anybody()
        return
    access = await find_access(str(config.kubeconfig) if config.kubeconfig else None)
    async with open_api_server(access, version=version_string()) as api_server:
        accounts = {"node": config.ingest.node_accounts, "cluster": config.ingest.cluster_accounts}
        reviews = TokenReviews(api_server.post, config.ingest.audience, accounts, clock=time.monotonic)
        yield OneOf(*ways, reviews)


def _connect(
    config: AggregatorConfig,
    registry: CollectorRegistry,
    journal: Journal,
    state: JournalState,
    guard: Guard,
    *,
    authenticator: Authenticator,
    seen: Callable[[Sequence[Change]], None],
) -> tuple[list[Part], Reception, LinkServer, WebParts]:
    metrics = AggregatorMetrics(registry)
    facts: dict[str, int] = {}
    roster = Roster(time.time_ns, state.present.values())
    coverage = Coverage(after_seconds=config.adoption.after_seconds, max_adopted=config.adoption.max_nodes)
    hub = Hub(
        journal_id=state.journal_id,
        last_seq=state.last_seq,
        metrics=metrics.feed,
        now_ns=time.time_ns,
        limits=FeedLimits(
            batch_seconds=config.feed.batch_seconds,
            max_clients=config.feed.max_clients,
            buffer_bytes=config.feed.buffer_bytes,
        ),
    )

    def committed(done: Committed) -> None:
        hub.publish(done.published)
        tails.committed(done.published)
        seen(done.seen)
        gauges.forget(done.forgotten_counters)
        gauges.committed(done.published, done.counters)
        metrics.ingest.commits.labels("ok").inc()
        metrics.ingest.commit_seconds.observe(done.seconds)
        for outcome, count in done.tally.items():
            metrics.ingest.outcomes.labels(outcome).inc(count)
        adopting.committed(done.nodes, done.strays)
        reception.committed(done.nodes)
        for relist in done.relists:
            reception.ask_relist(relist)

    pipeline = Pipeline(
        journal,
        state,
        now_ns=time.time_ns,
        on_committed=committed,
        on_failed=lambda: metrics.ingest.commits.labels("failed").inc(),
        limits=Limits(group_records=config.ingest.group_records, waiting_records=config.ingest.waiting_records),
    )
    gauges = ClusterGauges(
        state, lambda: recorder, version=version_string(), now_ns=time.time_ns, roll=pipeline.ledger.roll
    )
    usage = UsageDesk(pipeline.ledger.roll, now_ns=time.time_ns)
    registry.register(usage.collector)
    adopting = Adopting(pipeline, journal, roster, coverage, now_ns=time.time_ns)
    settling = Settling(pipeline, adopting, now_ns=time.time_ns)
    reception = Reception(
        pipeline,
        roster,
        adopting,
        now_ns=time.time_ns,
        zones_of=zones_in(journal),
        take_usage=usage.take,
        window_batches=config.ingest.window_batches,
        window_bytes=config.ingest.window_bytes,
    )

    def pruned(done: Pruned) -> None:
        metrics.journal.pruned.inc(done.records)
        # At once: until the facts are read again, an answer from below the horizon would be called complete.
        if facts.get("oldestCommittedAt"):
            facts["oldestCommittedAt"] = max(facts["oldestCommittedAt"], done.horizon_at)

    retention = Retention(
        journal,
        age_seconds=config.store.retention_age,
        max_bytes=config.store.retention_bytes,
        now_ns=time.time_ns,
        forgetting=pipeline.forgetting,
        on_pruned=pruned,
    )
    recorder = IngestRecorder(pipeline, roster, coverage)
    registry.register(gauges)
    registry.register(_bounds(config))
    lines = NodeLines(journal, reception, now_ns=time.time_ns)
    link = LinkServer(reception, metrics.link, authenticator=authenticator)
    tails = Tails(lines)
    web = WebParts(
        journal=journal,
        hub=hub,
        lines=lines,
        tails=tails,
        recorder=recorder,
        guard=guard,
        version=version_string(),
        now_ns=time.time_ns,
        base_path=config.http.base_path,
        horizon=lambda: facts.get("oldestCommittedAt", 0),
        usage=usage,
    )
    ended = asyncio.Event()

    async def stop_links() -> None:
        await link.stop()
        ended.set()

    async def keep_links() -> None:
        await run_until(ended.wait(), reception.begin())
        await ended.wait()

    parts = [
        Part(name="links", run=keep_links, stop=stop_links),
        Part(name="adoption", run=adopting.run),
        Part(name="settling", run=settling.run),
        Part(name="enrolling", run=Enrolling(pipeline, journal).run),
        Part(name="counters", run=Sweeping(pipeline, Departed(), now_ns=time.time_ns).run),
        Part(name="pipeline", run=pipeline.run, stop=pipeline.stop),
        Part(name="feed", run=hub.run),
        Part(name="usage", run=usage.run),
        Part(name="retention", run=retention.run),
        Part(name="facts", run=lambda: _refresh_facts(journal, gauges, facts)),
        Part(name="stalls", run=lambda: watch_stalls(metrics.loop.stalled)),
        Part(name="memory", run=keep_giving_back),
        Part(name="garbage", run=keep_collections_short),
    ]
    return parts, reception, link, web


def _ignore(_: Sequence[Change]) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _ToLoki:
    """What has to run to bring anything to Loki, the routes of the gateway, and what counts for the way."""

    parts: Sequence[Part] = ()
    routes: Sequence[Route] = ()
    collector: LokiCollector | None = None


@asynccontextmanager
async def _to_loki(
    config: AggregatorConfig, registry: CollectorRegistry, web: WebParts, pods: PodIndex | None
) -> AsyncIterator[_ToLoki]:
    """Yield what brings the journal's events, terminations and changes, and what shippers push, to Loki, if any."""
    if config.loki.url is None or pods is None:
        yield _ToLoki()
        return
    async with (
        open_sender(config.loki, version=version_string()) as sender,
        open_gateway(config.gateway, config.data / "gateway", sender, pods, tenant=config.loki.tenant) as gateway,
    ):
        outlet = LokiOutlet(
            web.journal,
            sender,
            cluster=lambda: web.recorder.identity().cluster,
            last_seq=lambda: web.hub.last_seq,
            now_ns=time.time_ns,
        )
        pods.cluster = lambda: web.recorder.identity().cluster
        await pods.fill()
        collector = LokiCollector(sender.numbers)
        for each in (collector, outlet, gateway.collector):
            registry.register(each)
        yield _ToLoki(
            parts=[*outlet.parts(), gateway.part, Part(name="loki", run=sender.run, stop=sender.stop)],
            routes=gateway.routes,
            collector=collector,
        )


@asynccontextmanager
async def _remembered_lines(config: AggregatorConfig) -> AsyncIterator[LokiLines | None]:
    """Yield what asks Loki for lines that no file holds any more; nothing without a --loki."""
    if config.loki.url is None:
        yield None
        return
    async with open_connections(config.loki, version=version_string()) as client:
        yield LokiLines(client, Scrubber(config.logs.scrub), now_ns=time.time_ns)


async def _refresh_facts(journal: Journal, gauges: ClusterGauges, facts: dict[str, int]) -> None:
    while True:
        try:
            facts.update(await journal.facts())
            gauges.set_facts(facts)
        except StoreError as error:
            if isinstance(error, StoreUnusable):
                raise
            _log.warning("journal.facts_failed", error=str(error))
        # A journal that is still empty is looked at more often: its first record is what makes an answer complete.
        await asyncio.sleep(_FACTS_SECONDS if facts.get("oldestCommittedAt") else 0.5)
