"""
The composition of an agent: builds every part, connects them, owns their start and stop. Nothing else does.

    API server ─▶ watchers ─▶ spool ─▶ link ─▶ aggregator
    log files  ─▶ tailer ─▶ Loki ◀─ gateway ◀─ shippers
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, cast

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from agent.config import AgentConfig
from agent.election.candidate import Candidate, ElectionTiming
from agent.election.election import Election
from agent.kube.leases import LeaseClient
from agent.kube.session import ApiSession, open_session
from agent.lines.answering import LineReader
from agent.lines.choosing import FilesOrServer, open_lines
from agent.link.link import Link, LinkConfig
from agent.link.requests import Handler
from agent.metrics import AgentCollector
from agent.pods.latezones import late_zones
from agent.probes import probes_app
from agent.reporting import Readiness, numbers, presence
from agent.shipping.opening import LineParts, open_line_parts
from agent.spool.counts import CountsIntoSpool
from agent.spool.limits import SpoolLimits
from agent.spool.spool import Spool
from agent.supervision.cluster import MAX_ADOPTED, ClusterScope
from agent.supervision.node import NodeScope
from agent.supervision.scope import Scope
from agent.supervision.whole import WholeScope
from agent.usage.opening import open_kubelet, scraper_of
from agent.usage.sources import Source
from agent.watch.counters import WatchCounters
from agent.watch.keyring import Keyring
from agent.watch.kinds import WatchedKind, wanted_kinds
from agent.watch.settings import WatchSettings
from agent.watch.sharing import WatchTools, watch_tools
from agent.watch.sink import Sink
from agent.watch.tapping import TappedSink
from kubescribe.kube.access import Access, find_access
from kubescribe.kube.errors import ApiUnreachable
from kubescribe.runtime.allocating import keep_giving_back
from kubescribe.runtime.process import version_string
from kubescribe.runtime.serving import serving
from kubescribe.runtime.tasks import Part, run_parts, run_until
from kubescribe.wire.link import LINES, ZONES

_log = structlog.get_logger()

_REPORT_SECONDS = 5.0
_DRAIN_SECONDS = 8.0
"""What the link gets at a stop to send what is spooled; the rest stays on disk for the next start."""


@dataclass(slots=True, kw_only=True)
class RunningAgent:
    """An agent that is built; its `parts` have yet to be run, in this order of stopping."""

    parts: Sequence[Part]
    cluster_uid: str
    unready: Readiness
    collectors: Sequence[Collector]


async def run(config: AgentConfig, stop: asyncio.Event, *, access: Access | None = None) -> None:
    """
    Run an agent until *stop*; *access* is found as *config* says where none is given.

    Raises AccessError, KindRefused, SpoolError or a StartupError when it cannot start.
    """
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(assembled(config, access=access))
        for collector in agent.collectors:
            registry.register(collector)
        app = probes_app(registry, agent.unready)
        metrics = await stack.enter_async_context(serving(app, config.metrics, option="--metrics"))
        _log.info("agent.watching", cluster_uid=agent.cluster_uid, aggregator=config.aggregator, metrics=metrics.url)
        await run_parts(stop, agent.parts)


@asynccontextmanager
async def assembled(config: AgentConfig, *, access: Access | None = None) -> AsyncIterator[RunningAgent]:
    """Build an agent; the block owns the connection to the API server and the spool."""
    kinds = wanted_kinds(config.watch.kinds)
    access = access or await find_access(str(config.kubeconfig) if config.kubeconfig else None)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            open_session(access, version=version_string(), streams=_streams_of(config, kinds))
        )
        spool = await stack.enter_async_context(
            await Spool.open(
                config.data / "spool",
                agent=config.agent,
                limits=SpoolLimits(
                    max_bytes=config.spool.max_bytes,
                    # A full spool gives up a segment at a time: an eighth of it at most.
                    segment_bytes=min(SpoolLimits().segment_bytes, config.spool.max_bytes // 8),
                    free_floor=config.spool.free_floor,
                    linger_seconds=config.spool.flush_seconds,
                ),
            )
        )
        await _bind(session, spool)
        lines = stack.enter_context(open_lines(config.logs.folder, config.logs.scrub, session, scope=config.scope))
        cluster = config.cluster or session.access.cluster
        counted = CountsIntoSpool(spool)
        logs = await stack.enter_async_context(
            open_line_parts(config, cluster=cluster, report=lambda gaps: spool.put(gaps, None), counted=counted)
        )
        kubelet = await stack.enter_async_context(open_kubelet(config, access, version=version_string()))
        agent = _connect(config, session, spool, lines, logs, kinds=kinds, kubelet=kubelet, counted=counted)
        yield agent


def _streams_of(config: AgentConfig, kinds: Sequence[WatchedKind]) -> int:
    """Return how many streams there are at most: kinds that are found later, and nodes that are adopted, included."""
    if config.scope == "node":
        return 1
    return len(kinds) + (MAX_ADOPTED if config.scope == "cluster" else 0)


async def find_cluster(config: AgentConfig) -> str:
    """Return the uid of the cluster that *config* watches. Raises AccessError."""
    access = await find_access(str(config.kubeconfig) if config.kubeconfig else None)
    async with open_session(access, version=version_string()) as session:
        return await session.check()


async def _bind(session: ApiSession, spool: Spool) -> None:
    """Make sure that the spool is this cluster's; with an API server that is away it is believed to be."""
    try:
        await spool.bind_cluster(await session.check())
    except ApiUnreachable as error:
        # What was spooled must reach the aggregator also during an outage of the API server.
        if not spool.cluster_uid:
            raise
        _log.warning("agent.started_blind", error=str(error))


def _connect(
    config: AgentConfig,
    session: ApiSession,
    spool: Spool,
    lines: LineReader | FilesOrServer | None,
    logs: LineParts,
    *,
    kinds: Sequence[WatchedKind],
    kubelet: Source | None,
    counted: CountsIntoSpool,
) -> RunningAgent:
    counters, started_at = WatchCounters(), time.time_ns()
    # Whoever needs no pods pays for none.
    sink = TappedSink(spool, logs.book, logs.keep) if logs.book is not None else spool
    tools = _tools(config, session, spool, counters, sink=sink)
    election = _election(config, session) if config.scope == "cluster" else None
    scope: Scope
    if election is not None:
        scope = ClusterScope(tools, spool, kinds, election)
    elif config.scope == "node":
        scope = NodeScope(tools, spool, config.node)
    else:
        scope = WholeScope(tools, spool, kinds)
    identity = LinkConfig(
        url=config.aggregator,
        agent=config.agent,
        scope=config.scope,
        profile=config.profile,
        version=version_string(),
        instance=secrets.token_hex(8),
        node=config.node,
        cluster=config.cluster or session.access.cluster,
        token_file=config.token_file,
    )
    link = Link(identity, spool, scope, handlers=_handlers(scope, lines, logs))
    scope.attach(link)
    scope.hear(counted.welcome)
    if (book := logs.book) is not None:
        scope.watchers.list_first("pods", unless=book.whole.__contains__)
        scope.hear(lambda welcome: book.welcome(welcome.zones))
    scraper = scraper_of(config, session, kubelet, sees_all_pods=scope.sees_all_pods, send=link.send_usage)
    ended = asyncio.Event()

    async def keep_link() -> None:
        await run_until(ended.wait(), link.run())

    async def drain_link() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await spool.flush()
                await _emptied(link, spool)
        ended.set()

    async def report() -> None:
        while True:
            link.report(presence(identity, session, spool, scope))
            await asyncio.sleep(_REPORT_SECONDS)

    parts = [
        Part(name="watches", run=scope.run),
        Part(name="link", run=keep_link, stop=drain_link),
        Part(name="reports", run=report),
        # Of a list of many pods, or of what waited while Loki was away.
        Part(name="memory", run=keep_giving_back),
    ]
    if election is not None:
        # It is let go when the watches have ended, and before the rest is sent: another goes on meanwhile.
        parts.insert(1, Part(name="election", run=election.run, stop=election.stop))
    usage = [Part(name="usage", run=scraper.run)] if scraper is not None else []
    return RunningAgent(
        # What was lost of lines is told through the link, which therefore ends last.
        parts=[*usage, *logs.first, parts[0], *logs.last, *parts[1:]],
        cluster_uid=spool.cluster_uid,
        unready=Readiness(scope=scope, link=link),
        collectors=[
            AgentCollector(
                lambda: numbers(
                    session,
                    spool,
                    scope,
                    link,
                    counters,
                    started_at=started_at,
                    spool_limit_bytes=config.spool.max_bytes,
                    election=election,
                    scraper=scraper,
                )
            ),
            *logs.collectors,
            *([lines.numbers] if lines is not None else ()),
        ],
    )


def _handlers(scope: Scope, lines: LineReader | FilesOrServer | None, logs: LineParts) -> dict[str, Handler]:
    handlers = dict(scope.handlers())
    if lines is not None:
        handlers[LINES] = lines.handle
    if logs.book is not None:
        handlers[ZONES] = late_zones(logs.book)
    return handlers


def _tools(
    config: AgentConfig, session: ApiSession, spool: Spool, counters: WatchCounters, *, sink: Sink
) -> WatchTools:
    inactivity = config.watch.inactivity_seconds
    keyring = Keyring(cast("Literal['balanced', 'strict']", config.watch.redaction), spool.redaction_key or b"")
    settings = WatchSettings(
        # A spread, so that streams that died together do not come back together.
        silence_seconds=(0.9 * inactivity, inactivity),
        verify_seconds=config.watch.anti_entropy_seconds,
        start_jitter_seconds=config.watch.start_jitter_seconds,
        max_line_bytes=config.watch.max_line_bytes,
    )
    return watch_tools(session, sink, keyring, settings=settings, counters=counters)


def _election(config: AgentConfig, session: ApiSession) -> Election:
    own = config.election
    timing = ElectionTiming(
        lease_seconds=own.lease_seconds, renew_seconds=own.renew_seconds, deadline_seconds=own.deadline_seconds
    )
    leases = LeaseClient(session, namespace=own.lease_namespace, name=own.lease_name)
    return Election(Candidate(own.identity, timing), leases, session.access.credentials)


async def _emptied(link: Link, spool: Spool) -> None:
    """Wait until everything spooled is acknowledged, or the link is down."""
    while link.status.state == "connected" and spool.stats().records:  # noqa: ASYNC110 - once, at the stop
        await asyncio.sleep(0.02)
