"""
Answers a question about lines: asks the agents of the pods' nodes side by side, and says who did not answer.

    question ─▶ journal: which pods, on which nodes ─▶ their agents, each once ─▶ one order of time ─▶ answer
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from aggregator.errors import RequestFailed
from aggregator.logs.asking import Answer, LogLine, LogQuery, Target
from aggregator.logs.finding import Pods, find_targets
from aggregator.logs.gathering import Gathered
from aggregator.logs.loki import LokiLines, Remembered
from aggregator.logs.losses import Gaps, gaps_of
from kubescribe.wire.codec import decode_lines, encode_line_query
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import LINES, NO_EARLIER, Lines
from kubescribe.wire.times import to_rfc3339

_log = structlog.get_logger(__name__)

ANSWER_SECONDS = 20.0
"""A node that reads less than that has too much to read, or is not there; the rest is answered without it."""

MAX_ASKED_AT_ONCE = 32
_MAX_NAMED = 5
SECOND = 10**9
_END_OF_TIME = 2**62
_SOON = 120 * SECOND
"""A pod that wrote its oldest line so soon after it was created has lost none before that."""

_FOLDER_STAYS = 600 * SECOND
"""The kubelet removes a pod's folder within seconds of the pod; where it is slow, within minutes."""


class Journal(Pods, Gaps, Protocol):
    """The part of the journal that is asked."""


class Session(Protocol):
    """An agent that is connected."""

    agent: str

    def request(self, verb: str, arguments: bytes = b"", deadline_seconds: float = 10.0) -> AsyncIterator[bytes]:
        """As ingest's Session.request."""
        ...


class Agents(Protocol):
    """Who reads the files of a node."""

    def reading(self, node: str) -> Session | None:
        """Return the agent that has the files of *node*, None when it is away or there is none."""
        ...


class NodeLines:
    """Reads lines from the nodes' files; `loki`, where one is set, is asked for what no file holds."""

    def __init__(
        self, journal: Journal, agents: Agents, *, now_ns: Callable[[], int], loki: LokiLines | None = None
    ) -> None:
        self.loki = loki
        self.journal = journal
        self.agents = agents
        self.now_ns = now_ns
        self._asking = asyncio.Semaphore(MAX_ASKED_AT_ONCE)

    async def read(self, query: LogQuery) -> Answer | None:
        """Return the newest lines that *query* asks for; None when the journal knows no such pod. Raises StoreError."""
        found = await find_targets(self.journal, query)
        if not found.targets:
            return None
        gathered = Gathered(query.limit)
        by_agent, unheard = self.by_agent(found.targets)
        kept: dict[str, int] = {}
        said = await asyncio.gather(*(self._ask(session, query, its, gathered, kept) for session, its in by_agent))
        remembered = await self._remembered(query, found.targets, kept, gathered)
        lines, older = gathered.page()
        since = max(query.since, lines[0].at if older and lines else 0)
        answer = Answer(lines=lines, older=older, missing=list(found.missing))
        answer.missing += _without_agent(unheard)
        had = kept.keys() | remembered.uids
        answer.missing += _but_for_earlier(said, query, found.targets, remembered)
        answer.missing += remembered.missing
        asked = [it for it in found.targets if not query.previous or it.may_have_earlier(query.container)]
        answer.missing += _gone([it for it in asked if it.uid not in had], since)
        answer.gaps = await gaps_of(
            self.journal,
            found.targets,
            since=since,
            until=query.until,
            container=query.container,
            of_all=bool(query.workload),
        )
        return answer

    async def _remembered(
        self, query: LogQuery, targets: Sequence[Target], kept: Mapping[str, int], gathered: Gathered
    ) -> Remembered:
        """Gather from Loki what the files do not hold: of pods that have none, and of times before the oldest line."""
        if self.loki is None:
            return Remembered()
        until: dict[str, int] = {}
        for target in targets:
            before = min(query.until or self.now_ns(), _unkept_before(query, target, kept.get(target.uid, 0)))
            is_full = len(gathered) > query.limit and gathered.oldest >= before
            if not is_full and before > query.since:
                until[target.uid] = before
        wanted = [it for it in targets if it.uid in until]
        if not wanted:
            return Remembered()
        remembered = await self.loki.read(query, wanted, until, limit=query.limit + 1)
        gathered.add(remembered.lines)
        return remembered

    def by_agent(self, targets: Sequence[Target]) -> tuple[list[tuple[Session, list[Target]]], list[Target]]:
        """Return *targets* by the agent that has their files, and those that have none; the long gone are left out."""
        found: dict[int, tuple[Session, list[Target]]] = {}
        unheard: list[Target] = []
        oldest = self.now_ns() - _FOLDER_STAYS
        for target in targets:
            if 0 < target.gone_at < oldest or not target.node:
                continue
            session = self.agents.reading(target.node)
            if session is None:
                unheard.append(target)
            else:
                found.setdefault(id(session), (session, []))[1].append(target)
        return list(found.values()), unheard

    async def _ask(
        self, session: Session, query: LogQuery, targets: list[Target], gathered: Gathered, kept: dict[str, int]
    ) -> list[str]:
        """
        Gather the lines of *targets*, and the oldest time that there is of each in *kept*, by uid.

        Return what the agent misses.
        """
        wanted = query.of_node([it.pod for it in targets], limit=query.limit + 1)
        missing: list[str] = []
        oldest: Sequence[int] = ()
        try:
            async with self._asking:
                # The agent's own deadline is a little shorter: then it says itself what it could not.
                async for payload in session.request(LINES, encode_line_query(wanted), ANSWER_SECONDS):
                    lines = decode_lines(payload)
                    oldest = lines.oldest or oldest
                    missing += lines.missing
                    gathered.add(told(lines, targets))
        except (RequestFailed, WireError) as error:
            _log.warning("logs.agent_failed", agent=session.agent, error=str(error)[:256])
            return [f"agent {session.agent} did not answer to the end: {str(error)[:128]}; {_named(targets)}"]
        kept.update((target.uid, at) for target, at in zip(targets, oldest, strict=False) if at)
        # Of a pod that is gone it is said once, for all nodes, that its files are. One that never ran has none.
        gone = {it.title for it in targets if (it.gone_at or not it.has_run) and it.uid not in kept}
        return [text for text in missing if text.partition(":")[0] not in gone]


def _unkept_before(query: LogQuery, target: Target, oldest: int) -> int:
    """
    Return before which time there may be lines of *target* that no file holds, 0 for none.

    *oldest* is the time of the oldest line in its files, 0 where there are none. An instance is deleted with its files
    while the pod lives; what is found in both is one line.
    """
    asked = target.of(query.container)
    # The API rounds down: the one before may have said its last words within that second.
    earlier = max((it.began_at + SECOND if it.began_at else _END_OF_TIME for it in asked if it.restart), default=0)
    if query.previous:
        return earlier if target.latest else _END_OF_TIME
    if not oldest:
        return _END_OF_TIME
    is_whole = target.created_at and oldest - target.created_at < _SOON
    # The oldest line of a pod may be that of a container which never ended, beside one that did.
    return max(0 if is_whole else oldest, earlier if len(asked) > 1 else 0)


def _but_for_earlier(
    said: Sequence[Sequence[str]], query: LogQuery, targets: Sequence[Target], remembered: Remembered
) -> list[str]:
    """Return what the agents miss but for earlier instances that never were, or that Loki had."""
    found = remembered.uids
    answered = [it for it in targets if it.uid in found or not it.may_have_earlier(query.container)]
    idle = {f"{it.title}: {NO_EARLIER}" for it in answered}
    return [text for texts in said for text in texts if text not in idle]


def _gone(targets: Sequence[Target], since: int) -> list[str]:
    """Return what there is to say about pods that are gone and that may have written within the answer's time."""
    gone = [it for it in targets if it.gone_at and it.gone_at >= since and it.has_run]
    said = [f"{it.title}: gone since {to_rfc3339(it.gone_at)}, and its files with it" for it in gone[:_MAX_NAMED]]
    if len(gone) > _MAX_NAMED:
        said.append(f"and {len(gone) - _MAX_NAMED} more pods that are gone, and their files with them")
    return said


def told(lines: Lines, targets: Sequence[Target]) -> list[LogLine]:
    """Return what an agent told of *targets*; a line of a pod that nobody asked for is left out."""
    return [
        LogLine(
            at=line.at,
            target=targets[line.pod],
            container=line.container,
            restart=line.restart,
            stream=line.stream,
            level=line.level,
            text=line.text,
        )
        for line in lines.lines
        if 0 <= line.pod < len(targets)
    ]


def _without_agent(targets: Sequence[Target]) -> list[str]:
    nodes: dict[str, list[Target]] = {}
    for target in targets:
        nodes.setdefault(target.node, []).append(target)
    said = [f"node {node}: no agent there answers; {_named(its)}" for node, its in list(nodes.items())[:_MAX_NAMED]]
    if len(nodes) > _MAX_NAMED:
        said.append(f"and {len(nodes) - _MAX_NAMED} more nodes without an agent that answers")
    return said


def _named(targets: Sequence[Target]) -> str:
    names = ", ".join(it.pod.name for it in targets[:_MAX_NAMED])
    more = f" and {len(targets) - _MAX_NAMED} more" if len(targets) > _MAX_NAMED else ""
    return f"lines of {names}{more} are missing"
