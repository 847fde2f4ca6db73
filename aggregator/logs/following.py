"""
Lines as they come, for everybody who asks for the same: each node is asked once, however many hear it.

    agents ─▶ one pump each ─▶ held for a moment, put in order ─▶ sinks, one for each who hears

New pods join while it runs: a commit that tells of one wakes the search. An agent that went is asked again when it is
back, from the last line that it told. Who hears too slowly loses the oldest lines and is told how many.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

import structlog

from aggregator.errors import RequestFailed, StoreError
from aggregator.logs.asking import LogLine, LogQuery, Target
from aggregator.logs.finding import find_targets
from aggregator.logs.gathering import Gathered
from aggregator.logs.pumps import Pump
from aggregator.logs.reading import NodeLines, Session, told
from aggregator.logs.rendering import render_line
from aggregator.logs.sinks import Notice, Sink
from aggregator.records import Published
from kubescribe.wire.codec import decode_lines, encode_line_query
from kubescribe.wire.errors import WireError
from kubescribe.wire.link import LINES

_log = structlog.get_logger(__name__)

MAX_TAILS = 64
"""Different questions that are followed at the same time."""

HOLD_SECONDS = 0.3
"""Agents look at their files four times a second: what comes within that time is put in order."""

TICK_SECONDS = 0.05
_GATHER_SECONDS = 0.5
_BACKLOG_SECONDS = 5.0
"""So long is waited for the first lines of all nodes, to put them in order."""

_ASK_SECONDS = 3_600.0
_AGAIN_SECONDS = 1.0
_MAX_AGAIN_SECONDS = 10.0
_CATCH_UP_LINES = 5_000
_CATCH_UP_SECONDS = 20.0
_MAX_CAUGHT_UP = 64
"""Containers that are asked for one by one after an agent was away; of more it is said that lines may be missing."""

_MAX_PUMPS = 3
"""Requests to one agent for one question; pods that join later are asked for with the others."""

_HELD_LINES = 10_000
"""What may wait to be put in order; more goes on unordered."""

_MAX_PASSED_OVER = 50_000
"""Pods of others in the same namespace, of which it is remembered that they were looked at."""


class TooManyTails(Exception):
    """As many questions are followed as there may be."""


class Tail:
    """One question that is followed; `run` lives as long as somebody hears."""

    def __init__(self, lines: NodeLines, query: LogQuery) -> None:
        self._lines = lines
        self.query = query
        self.sinks: set[Sink] = set()
        self.dirty = asyncio.Event()
        self.known: set[str] = set()
        """The uids of the pods that are meant."""
        self._recent: deque[bytes] = deque(maxlen=max(1, query.limit))
        self._held: list[tuple[int, int, float, LogLine]] = []
        self._numbers = count()
        self._backlog: Gathered | None = Gathered(query.limit) if query.limit else None
        self._pumps: set[Pump] = set()
        self._passed_over: set[str] = set()
        self._living: set[str] = set()
        self._told_unheard: set[str] = set()

    def hear(self) -> Sink:
        """Return a sink that begins with what the others heard last."""
        sink = Sink()
        sink.put(self._recent)
        self.sinks.add(sink)
        return sink

    def look_for(self, uid: str) -> None:
        """Look whether a pod that was told of is meant: once, not with each of its versions."""
        if len(self._passed_over) >= _MAX_PASSED_OVER:
            self._passed_over.clear()
        if uid not in self._passed_over:
            self._passed_over.add(uid)
            self.dirty.set()

    async def run(self) -> None:
        """Follow until cancelled. Raises StoreError."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            await self._find(group)
            group.create_task(self._find_more(group), name="logs find")
            deadline = loop.time() + _BACKLOG_SECONDS
            while loop.time() < deadline and not all(pump.is_live for pump in self._pumps):  # noqa: ASYNC110 - many
                await asyncio.sleep(TICK_SECONDS)
            if self._backlog is not None:
                lines, _ = self._backlog.page()
                self._backlog = None
                self._publish(lines)
            while True:
                await asyncio.sleep(TICK_SECONDS)
                self._publish(self._due(loop.time()))

    def _due(self, now: float) -> list[LogLine]:
        """Return what was held long enough, and what is older than that: clocks of nodes may differ by any time."""
        if len(self._held) > _HELD_LINES:
            youngest = max(held[0] for held in self._held)
        else:
            youngest = max((held[0] for held in self._held if held[2] <= now - HOLD_SECONDS), default=-1)
        due = sorted(held for held in self._held if held[0] <= youngest) if youngest >= 0 else []
        if due:
            self._held = [held for held in self._held if held[0] > youngest]
        return [held[3] for held in due]

    def _publish(self, lines: Sequence[LogLine], notices: Sequence[Notice] = ()) -> None:
        if not lines and not notices:
            return
        rendered = [render_line(line) for line in lines]
        self._recent.extend(rendered)
        for sink in self.sinks:
            sink.put(rendered, notices)

    async def _find_more(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self.dirty.wait()
            # A rollout makes many pods at once, and a pod's first lines are in its file however late it is found.
            await asyncio.sleep(_GATHER_SECONDS)
            self.dirty.clear()
            try:
                await self._find(group)
            except StoreError as error:
                _log.warning("logs.not_found", error=str(error)[:256])
                await asyncio.sleep(_AGAIN_SECONDS)
                self.dirty.set()

    async def _find(self, group: asyncio.TaskGroup) -> None:
        is_first = not self.known
        found = await find_targets(self._lines.journal, self.query)
        self._living = {it.uid for it in found.targets if not it.gone_at}
        # One without a node is found again when it has one: the commit that tells so is of a pod that is not known.
        bound = [it for it in found.targets if it.node or it.gone_at]
        new = [it for it in bound if it.uid not in self.known and (not it.gone_at or not is_first)]
        self.known |= {it.uid for it in bound}
        self._passed_over -= {it.uid for it in found.targets}
        by_agent: dict[str, list[Target]] = {}
        for target in new:
            by_agent.setdefault(self._agent_of(target), []).append(target)
        for agent, its in by_agent.items():
            pump = self._joined(Pump(agent, its))
            self._pumps.add(pump)
            pump.task = group.create_task(self._pump(pump, is_first=is_first), name="logs pump")

    def _joined(self, pump: Pump) -> Pump:
        """Return *pump*, with the work of the others of its agent where these are many: an agent has few places."""
        others = [it for it in self._pumps if it.agent == pump.agent]
        if len(others) < _MAX_PUMPS:
            return pump
        for other in others:
            if other.task is not None:
                other.task.cancel()
            self._pumps.discard(other)
            pump.join(other, self._living)
        pump.is_live = True
        return pump

    def _agent_of(self, target: Target) -> str:
        session = self._lines.agents.reading(target.node)
        return session.agent if session is not None else f"node/{target.node}"

    async def _pump(self, pump: Pump, *, is_first: bool) -> None:
        wait = _AGAIN_SECONDS
        while True:
            node = pump.targets[0].node
            session = self._lines.agents.reading(node)
            if session is None:
                self._tell_unheard(node)
                pump.is_live = True
            else:
                # What a pod wrote before it was found is new; of one that was there, only the last lines are wanted.
                limit = self.query.limit if is_first and not pump.last else _CATCH_UP_LINES
                if await self._listen(session, pump, limit):
                    wait = _AGAIN_SECONDS
            await self._look_again(pump)
            if not any(it.uid in self._living for it in pump.targets):
                self._pumps.discard(pump)
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_AGAIN_SECONDS)

    async def _look_again(self, pump: Pump) -> None:
        """Look which pods live still: only those are asked for again."""
        with suppress(StoreError):
            found = await find_targets(self._lines.journal, self.query)
            self._living = {it.uid for it in found.targets if not it.gone_at}
            pump.targets = [it for it in pump.targets if it.uid in self._living] or pump.targets

    async def _listen(self, session: Session, pump: Pump, limit: int) -> bool:
        """Take what *session* tells until it ends; tell whether there was anything."""
        asked = replace(self.query, follow=True).of_node(
            [it.pod for it in pump.targets], limit=limit, since=pump.since(self.query.container)
        )
        heard = False
        pump.begin()
        caught_up, oldest = 0, 0
        answer = session.request(LINES, encode_line_query(asked), _ASK_SECONDS)
        try:
            async for payload in answer:
                lines = decode_lines(payload)
                heard = heard or bool(lines.lines)
                self._told_unheard.discard(pump.targets[0].node)
                if lines.dropped:
                    self._publish((), [Notice("tooFast", lines.dropped)])
                if lines.lines and not lines.live:
                    caught_up, oldest = caught_up + len(lines.lines), oldest or lines.lines[0].at
                self._take(pump, told(lines, pump.targets))
                if lines.live and caught_up >= limit and limit == _CATCH_UP_LINES:
                    await self._catch_up(session, pump, oldest)
                    caught_up = 0
                if lines.live and not pump.is_live:
                    pump.go_live()
        except (RequestFailed, WireError) as error:
            _log.info("logs.follow_ended", agent=session.agent, error=str(error)[:256])
            self._tell_unheard(pump.targets[0].node, f"agent {session.agent}: {str(error)[:128]}")
        finally:
            pump.is_live = True
            close = getattr(answer, "aclose", None)
            if close is not None:
                await close()
        return heard

    async def _catch_up(self, session: Session, pump: Pump, until: int) -> None:
        """
        Ask for what each container wrote before *until* that it has not told: the newest lines of all begin there.

        So a busy one does not hide what a slow one was behind with. What is too much is told. Raises RequestFailed.
        """
        behind = pump.behind(until, self.query.container)
        if len(behind) > _MAX_CAUGHT_UP:
            detail = f"agent {session.agent}: lines of {len(behind) - _MAX_CAUGHT_UP} containers may be missing"
            self._publish((), [Notice("tooFast", 0, detail)])
        for target, container, since in behind[:_MAX_CAUGHT_UP]:
            query = replace(self.query, container=container, until=until, follow=False)
            asked = query.of_node([target.pod], limit=_CATCH_UP_LINES + 1, since=since)
            count = 0
            async for payload in session.request(LINES, encode_line_query(asked), _CATCH_UP_SECONDS):
                lines = decode_lines(payload)
                count += len(lines.lines)
                self._take(pump, told(lines, [target]))
            if count > _CATCH_UP_LINES:
                name = f", container {container}" if container else ""
                detail = f"{target.title}{name}: it wrote more than {_CATCH_UP_LINES} lines that nobody followed"
                self._publish((), [Notice("tooFast", 0, detail)])

    def _take(self, pump: Pump, lines: Sequence[LogLine]) -> None:
        new = pump.take(lines)
        if self._backlog is not None and not pump.is_live:
            self._backlog.add(new)
            return
        now = asyncio.get_running_loop().time()
        for line in new:
            self._held.append((line.at, next(self._numbers), now, line))

    def _tell_unheard(self, node: str, detail: str = "") -> None:
        if node and node not in self._told_unheard:
            self._told_unheard.add(node)
            self._publish((), [Notice("agentLost", 0, detail or f"node {node}: no agent there answers")])


class Tails:
    """The questions that are followed, each once."""

    def __init__(self, lines: NodeLines, *, max_tails: int = MAX_TAILS) -> None:
        self._lines = lines
        self._max_tails = max_tails
        self._tails: dict[LogQuery, tuple[Tail, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._tails)

    def hear(self, query: LogQuery) -> Sink:
        """Hear what *query* asks for until `leave`. Raises TooManyTails."""
        known = self._tails.get(query)
        if known is None:
            if len(self._tails) >= self._max_tails:
                raise TooManyTails(f"{self._max_tails} questions about lines are followed already")
            tail = Tail(self._lines, query)
            # Owned by this object: `leave` of the last who hears, or `close`, cancels it.
            task = asyncio.create_task(self._run(tail), name="logs tail")
            known = self._tails[query] = (tail, task)
        return known[0].hear()

    async def leave(self, query: LogQuery, sink: Sink) -> None:
        """Hear no more; the last who leaves ends the requests to the agents."""
        known = self._tails.get(query)
        if known is None or sink not in known[0].sinks:
            return
        tail, task = known
        tail.sinks.discard(sink)
        if not tail.sinks:
            # Before the wait: who asks for the same meanwhile begins anew.
            del self._tails[query]
            task.cancel()
            await asyncio.wait([task])

    def committed(self, published: Sequence[Published]) -> None:
        """Look again for pods where a commit tells of one that is not known."""
        if not self._tails:
            return
        for item in published:
            facets = item.facets
            if item.topic != "changes" or facets.kind != "Pod":
                continue
            for tail, _ in self._tails.values():
                if facets.uid not in tail.known and facets.namespace == (tail.query.namespace or facets.namespace):
                    tail.look_for(facets.uid)

    async def close(self) -> None:
        """End all of it."""
        tasks = [task for _, task in list(self._tails.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, tail: Tail) -> None:
        try:
            await tail.run()
        except* Exception as errors:  # noqa: BLE001 - those who hear are told that it ended, and come again
            _log.warning("logs.tail_ended", error=repr(errors.exceptions[0])[:256])
        finally:
            if self._tails.get(tail.query, (None,))[0] is tail:
                del self._tails[tail.query]
            for sink in tail.sinks:
                sink.end()
