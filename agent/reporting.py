"""What an agent tells of itself: whether it does its work, its report to the aggregator, its numbers for /metrics."""

import time
from collections import Counter
from dataclasses import dataclass

from agent.election.election import Election
from agent.kube.session import ApiSession
from agent.link.link import Link, LinkConfig
from agent.metrics import AgentNumbers, unseen_seconds
from agent.spool.spool import Spool
from agent.supervision.scope import Scope
from agent.usage.scraping import Scraper
from agent.watch.counters import WatchCounters
from kubescribe.wire.records import Presence


@dataclass(slots=True, kw_only=True)
class Readiness:
    """Why the agent does not do its work, "" when it does; one that waits to be elected does its work."""

    scope: Scope
    link: Link

    def __call__(self) -> str:
        """Return the reason."""
        reason = self.scope.unready()
        if not reason and self.link.status.state != "connected":
            return f"not connected to the aggregator: {self.link.status.detail or self.link.status.state}"
        return reason


def presence(identity: LinkConfig, session: ApiSession, spool: Spool, scope: Scope) -> Presence:
    """Return the report as of now."""
    stats = spool.stats()
    return Presence(
        agent=identity.agent,
        state="report",
        observed_at=time.time_ns(),
        node=identity.node,
        scope=identity.scope,
        version=identity.version,
        instance=identity.instance,
        profile=identity.profile,
        spool_bytes=stats.bytes,
        spool_records=stats.records,
        oldest_unsent_at=stats.oldest_unsent_at,
        dropped_records=stats.dropped_records,
        api_requests=dict(session.requests),
        streams=scope.health(),
    )


def numbers(
    session: ApiSession,
    spool: Spool,
    scope: Scope,
    link: Link,
    counters: WatchCounters,
    *,
    started_at: int,
    spool_limit_bytes: int,
    election: Election | None,
    scraper: Scraper | None,
) -> AgentNumbers:
    """Return the numbers as of now; *started_at* is when the agent began, Unix ns."""
    stats, streams = spool.stats(), scope.watchers.health()
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
            "watch_inferred_deletes": counters.inferred_deletes,
            "watch_verified_objects": counters.verified_objects,
            "spool_dropped_records": stats.dropped_records,
            "spool_write_failures": stats.write_failures,
        },
        requests=dict(session.requests),
        failures={str(code): count for code, count in dict(session.failures).items()},
        restarts=dict(counters.restarts),
        blind_seconds=dict(counters.blind_seconds),
        lists={stream.name: counters.lists[stream.name] for stream in streams},
        unseen_seconds=unseen_seconds(streams, started_at, time.time_ns()),
        streams=Counter(stream.state for stream in streams),
        spool_bytes=stats.bytes,
        spool_limit_bytes=spool_limit_bytes,
        spool_records=stats.records,
        link_connected=link.status.state == "connected",
        leader=election.is_leading if election is not None else None,
        leader_changes=election.changes if election is not None else 0,
        usage_rounds=dict(scraper.outcomes) if scraper is not None else None,
        usage_undecodable=scraper.undecodable if scraper is not None else 0,
    )
