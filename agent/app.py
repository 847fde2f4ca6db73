"""
The composition of an agent: builds every part, connects them, owns their start and stop. Nothing else does.

    API server ─▶ watchers ─▶ spool ─▶ link ─▶ aggregator
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, cast

import structlog
from prometheus_client import CollectorRegistry

from agent.config import AgentConfig
from agent.errors import ApiUnreachable
from agent.kube.access import Access, find_access
from agent.kube.session import ApiSession, open_session
from agent.link.link import Link, LinkConfig
from agent.metrics import AgentCollector, AgentNumbers
from agent.probes import probes_app
from agent.spool.limits import SpoolLimits
from agent.spool.spool import Spool
from agent.supervision import Supervisor, streams_of
from agent.watch.counters import WatchCounters
from agent.watch.keyring import Keyring
from agent.watch.kinds import WatchedKind, wanted_kinds
from agent.watch.settings import WatchSettings
from agent.watch.watcher import watch_tools
from kubescribe.runtime.process import version_string
from kubescribe.runtime.serving import serving
from kubescribe.runtime.tasks import Part, run_parts
from kubescribe.wire.records import Presence

_log = structlog.get_logger()

_REPORT_SECONDS = 5.0
_DRAIN_SECONDS = 8.0
"""What the link gets at a stop to send what is spooled; the rest stays on disk for the next start."""


@dataclass(slots=True, kw_only=True)
class RunningAgent:
    """An agent that is built; its `parts` have yet to be run, in this order of stopping."""

    parts: Sequence[Part]
    cluster_uid: str
    unready: "Readiness"
    collector: AgentCollector


@dataclass(slots=True, kw_only=True)
class Readiness:
    """Why the agent does not do its work, "" when it does."""

    supervisor: Supervisor
    link: Link

    def __call__(self) -> str:
        """Return the reason."""
        if not self.supervisor.is_discovered:
            return "the API server has not told its kinds yet"
        if self.link.status.state != "connected":
            return f"not connected to the aggregator: {self.link.status.detail or self.link.status.state}"
        return ""


async def run(config: AgentConfig, stop: asyncio.Event) -> None:
    """Run an agent until *stop*. Raises AccessError, KindRefused, SpoolError or a StartupError when it cannot start."""
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(assembled(config))
        registry.register(agent.collector)
        app = probes_app(registry, agent.unready)
        metrics = await stack.enter_async_context(serving(app, config.metrics, option="--metrics"))
        _log.info("agent.watching", cluster_uid=agent.cluster_uid, aggregator=config.aggregator, metrics=metrics.url)
        await run_parts(stop, agent.parts)


@asynccontextmanager
async def assembled(config: AgentConfig) -> AsyncIterator[RunningAgent]:
    """Build an agent of scope `all`; the block owns the connection to the API server and the spool."""
    kinds = wanted_kinds(config.watch.kinds)
    access = await find_access(str(config.kubeconfig) if config.kubeconfig else None)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            open_session(access, version=version_string(), streams=streams_of(kinds))
        )
        spool = await stack.enter_async_context(
            await Spool.open(
                config.data / "spool",
                agent=config.scope,
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
        yield _connect(config, access, session, spool, kinds=kinds)


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
    config: AgentConfig, access: Access, session: ApiSession, spool: Spool, *, kinds: Sequence[WatchedKind]
) -> RunningAgent:
    counters = WatchCounters()
    inactivity = config.watch.inactivity_seconds
    keyring = Keyring(cast("Literal['balanced', 'strict']", config.watch.redaction), spool.redaction_key or b"")
    tools = watch_tools(
        session,
        spool,
        keyring,
        settings=WatchSettings(
            # A spread, so that streams that died together do not come back together.
            silence_seconds=(0.9 * inactivity, inactivity),
            verify_seconds=config.watch.anti_entropy_seconds,
            start_jitter_seconds=config.watch.start_jitter_seconds,
            max_line_bytes=config.watch.max_line_bytes,
        ),
        counters=counters,
    )
    supervisor = Supervisor(tools, spool, kinds)
    identity = LinkConfig(
        url=config.aggregator,
        agent=config.scope,
        scope=config.scope,
        version=version_string(),
        instance=secrets.token_hex(8),
        cluster=config.cluster or access.cluster,
        token_file=config.token_file,
    )
    link = Link(identity, spool, supervisor)
    supervisor.attach(link)
    ended = asyncio.Event()

    async def keep_link() -> None:
        talk = asyncio.create_task(link.run(), name="link")
        waiter = asyncio.create_task(ended.wait(), name="link end")
        try:
            done, _ = await asyncio.wait({talk, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            waiter.cancel()
            await asyncio.wait({talk, waiter})
        if talk in done:
            talk.result()

    async def drain_link() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await spool.flush()
                await _emptied(link, spool)
        ended.set()

    async def report() -> None:
        while True:
            link.report(_presence(identity, session, spool, supervisor))
            await asyncio.sleep(_REPORT_SECONDS)

    return RunningAgent(
        parts=[
            Part(name="watches", run=supervisor.run),
            Part(name="link", run=keep_link, stop=drain_link),
            Part(name="reports", run=report),
        ],
        cluster_uid=spool.cluster_uid,
        unready=Readiness(supervisor=supervisor, link=link),
        collector=AgentCollector(lambda: _numbers(session, spool, supervisor, link, counters)),
    )


async def _emptied(link: Link, spool: Spool) -> None:
    """Wait until everything spooled is acknowledged, or the link is down."""
    while link.status.state == "connected" and spool.stats().records:  # noqa: ASYNC110 - once, at the stop
        await asyncio.sleep(0.02)


def _presence(identity: LinkConfig, session: ApiSession, spool: Spool, supervisor: Supervisor) -> Presence:
    stats = spool.stats()
    return Presence(
        agent=identity.agent,
        state="report",
        observed_at=time.time_ns(),
        scope=identity.scope,
        version=identity.version,
        instance=identity.instance,
        spool_bytes=stats.bytes,
        spool_records=stats.records,
        oldest_unsent_at=stats.oldest_unsent_at,
        dropped_records=stats.dropped_records,
        api_requests=dict(session.requests),
        streams=supervisor.health(),
    )


def _numbers(
    session: ApiSession, spool: Spool, supervisor: Supervisor, link: Link, counters: WatchCounters
) -> AgentNumbers:
    stats = spool.stats()
    return AgentNumbers(
        counts={
            "watch_events": counters.events,
            "watch_bookmarks": counters.bookmarks,
            "watch_bytes": counters.bytes,
            "watch_listed": counters.listed,
            "watch_churn_dropped": counters.churn_dropped,
            "watch_oversized": counters.oversized,
            "watch_undecodable": counters.undecodable,
            "watch_bodies_truncated": counters.bodies_truncated,
            "watch_relists": counters.relists,
            "watch_inferred_deletes": counters.inferred_deletes,
            "watch_verified_objects": counters.verified_objects,
            "spool_dropped_records": stats.dropped_records,
            "spool_write_failures": stats.write_failures,
        },
        requests=dict(session.requests),
        failures={str(code): count for code, count in dict(session.failures).items()},
        restarts=dict(counters.restarts),
        blind_seconds=dict(counters.blind_seconds),
        streams=Counter(health.state for health in supervisor.health()),
        spool_bytes=stats.bytes,
        spool_records=stats.records,
        link_connected=link.status.state == "connected",
    )
