"""
The tailer: finds the log files of all containers, reads them, and gives their lines on until Loki has them.

    folders ─▶ discovery ─▶ one reader for each instance ─▶ Sender
                                       ▲                        │ outcome
                                       └── place, synced ◀──────┘

The files are the buffer: a place moves on only when Loki has what lies before it, so nothing grows when Loki is away.
What is in memory is bounded, for all files and for each; the files that are nearest to losing lines go first. Nothing
here asks the API server. Files are read in one thread, the state is written in another: the loop waits for neither.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

import structlog

from agent.tail.counts import TailCounts
from agent.tail.discovery import Finds
from agent.tail.finding import Finder
from agent.tail.handing import Counted, Handing, nobody_counts
from agent.tail.holding import beyond
from agent.tail.looks import Look, Reading
from agent.tail.losing import Lost
from agent.tail.missing import Missed
from agent.tail.naming import Naming
from agent.tail.opening import raise_file_limit
from agent.tail.outcomes import Outcomes
from agent.tail.reader import BLOCK_BYTES, Reader
from agent.tail.roster import Roster
from agent.tail.settings import TailSettings
from agent.tail.states import States
from agent.tail.tail import Tail
from agent.tail.turns import Turns
from agent.tail.witness import TakeEnded
from kubescribe.loki.pushes import Sender
from kubescribe.wire.records import Gap

_log = structlog.get_logger(__name__)

_P = ParamSpec("_P")
_T = TypeVar("_T")

_AT_ONCE_BYTES = 4 * BLOCK_BYTES
"""What is read in one go, and waits in memory meanwhile."""

_LEAST_BYTES = 16 * 1024
"""What reading a file counts for at least, so that a look at another is never far."""

_LAST_LOOK_SECONDS = 5.0

Report = Callable[[Sequence[Gap]], Awaitable[None]]
"""Takes Gaps, durably."""


class Tailer:
    """Tails every container of `settings.folder`; `run` once, `stop` ends it."""

    def __init__(
        self,
        settings: TailSettings,
        naming: Naming,
        sender: Sender,
        report: Report,
        *,
        take_ended: TakeEnded | None = None,
        counted: Counted = nobody_counts,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._naming = naming
        self._sender = sender
        self._take_ended = take_ended
        self._now_ns = now_ns
        self._monotonic = monotonic
        self.counts = TailCounts()
        self.finder: Finder | None = None
        self._states = States(settings, now_ns=now_ns)
        self._roster = Roster(settings, self._states, now_ns=now_ns, monotonic=monotonic)
        self.tails = self._roster.tails
        self._outcomes = Outcomes(self.counts, report, monotonic=monotonic)
        self._handing = Handing(self._states, counted, now_ns=now_ns)
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tail-read")
        self._held_files = min(settings.held_files, max(1, raise_file_limit() // 2))
        self._turns = Turns(settings.window_bytes)
        self._wake = asyncio.Event()
        self._look_now = asyncio.Event()
        self._stopping = asyncio.Event()
        self._is_ending = False

    async def run(self) -> None:
        """Tail until `stop`."""
        try:
            await self._states.open()
            self.finder = finder = Finder(
                self._settings,
                since=self._states.since,
                earlier=self._states.earlier(),
                node=self._naming.node,
                take_ended=self._take_ended,
                now_ns=self._now_ns,
                monotonic=self._monotonic,
            )
            await self._found(await finder.first())
            self._roster.remember_gone()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(finder.run(self._found), name="tail-find"),
                    group.create_task(self._look_forever(), name="tail-look"),
                    group.create_task(self._read_forever(), name="tail-read"),
                    group.create_task(self._save_forever(), name="tail-save"),
                    group.create_task(self._handing.run(self._settings.count_seconds), name="tail-count"),
                ]
                await self._stopping.wait()
                # Sources first: nothing is read any more, while what is on its way may still arrive.
                finding, looking, reading, *keeping = tasks
                finding.cancel()
                reading.cancel()
                await self._outcomes.settled(self._settings.stop_seconds)
                # Of what is gone and has arrived the next life would not know that: it would tell a loss.
                self._is_ending = True
                self._look_now.set()
                await asyncio.wait([looking], timeout=_LAST_LOOK_SECONDS)
                for task in (looking, *keeping):
                    task.cancel()
            await self._tell_missed(finder.close())
            await self._save()
            await self._handing.finish()
        finally:
            if self.finder is not None:
                self.finder.close()
            self._roster.close()
            self._close()

    async def stop(self) -> None:
        """Stop reading; what is on its way has a few seconds to arrive. `run` returns soon."""
        self._stopping.set()

    def _close(self) -> None:
        self._reading.submit(_close_all, [tail.reader for tail in self.tails.values()])
        self._reading.shutdown(wait=True)
        self._states.close()

    async def _in_thread(self, job: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, partial(job, *arguments, **options))

    # Finding.

    async def _found(self, finds: Finds) -> None:
        self._roster.take(finds.found)
        if finds.found:
            self._look_now.set()
        await self._tell_missed(finds.missed)

    async def _tell_missed(self, missed: Sequence[Missed]) -> None:
        now = self._now_ns()
        await self._outcomes.tell_all([(each.instance, each.lost(now)) for each in missed])

    # Reading.

    async def _look_forever(self) -> None:
        due = self._monotonic()
        while True:
            self._look_now.clear()
            tails = self._roster.take_fresh()
            begun, is_last = self._monotonic(), self._is_ending
            is_round = is_last or begun >= due
            if is_round:
                # Of what is gone nothing is new until it is read: thousands of short pods may wait for that.
                tails = [tail for tail in self.tails.values() if not tail.waits_to_be_read]
            if tails or is_round:
                await self._look_at(tails)
            if is_last:
                return
            if is_round:
                # When there is so much that looking takes long, reading comes first.
                due = self._monotonic() + max(self._settings.look_seconds, 2 * (self._monotonic() - begun))
            try:
                async with asyncio.timeout(max(0.0, due - self._monotonic())):
                    await self._look_now.wait()
            except TimeoutError:
                pass

    async def _look_at(self, tails: Sequence[Tail]) -> None:
        looks = await self._in_thread(_look_at_all, [tail.reader for tail in tails])
        now = self._monotonic()
        for tail, look in zip(tails, looks, strict=True):
            tail.note_look(look, now)
            tail.is_over = self._naming.pods.is_over(tail.instance.uid)
            if tail.is_over and tail.is_read_out != self._states.of(tail.instance).is_done:
                # What is read of it is known to be all: nothing is lost when it is deleted while the agent is away.
                tail.is_changed = True
        await self._name(tails, now)
        await self._retire({*tails, *await self._bound_held()}, now)
        self._wake.set()

    async def _name(self, tails: Sequence[Tail], now: float) -> None:
        decided, begins = {}, {}
        for tail in tails:
            if not tail.is_named and tail.look.unread and (begin := tail.reader.begins) is not None:
                enrichment = self._naming.decide(tail.instance, waited_seconds=now - tail.first_seen)
                if enrichment is not None:
                    decided[tail.instance] = enrichment
                    begins[tail.instance] = begin
        if not decided or not await self._states.freeze(decided, begins):
            self.counts.store_failures += bool(decided)
            return
        for instance in decided:
            tail = self.tails[instance]
            begun = self._states.of(instance).place
            tail.reader.name(self._states.names(instance), first_at=begun.last_at if begun else 0)
            tail.is_named = True

    async def _bound_held(self) -> list[Tail]:
        """Let go of deleted files that are still to be read, when they are too many; return what is over with them."""
        is_away = self._monotonic() - self._outcomes.landed_at > self._settings.away_seconds
        # While Loki takes what it can, who is behind may catch up; while it takes nothing, they would only become more.
        most = max(1, self._held_files // 2) if is_away else self._held_files
        chosen = beyond(self.tails.values(), max_bytes=self._settings.held_bytes, max_files=most)
        if not chosen:
            return []
        # In one go: each turn of the thread may wait for a batch of reading, and they may be a thousand.
        await self._in_thread(_let_go_all, [tail.reader for tail in chosen])
        over = []
        for tail in chosen:
            if tail.look.unread:
                _log.warning("tail.file_let_go", folder=tail.instance.folder, bytes=tail.look.unread)
            # It may not be looked at again before the rest of it is read.
            tail.look = replace(tail.look, held=0, held_files=0)
            if tail.look.is_gone and not (tail.is_sending or tail.flights):
                # Nothing is left to be told but that. To be read, it would wait for room in memory.
                tail.is_due = False
                over.append(tail)
        return over

    async def _retire(self, tails: Collection[Tail], now: float) -> None:
        """Close what will not be written any more and is in Loki; forget what has no files any more."""
        ended = []
        for tail in tails:
            if tail.is_sending or tail.flights or tail.is_due or (tail.look.unread and not tail.look.is_gone):
                continue
            # What was found anew since it was looked at is looked at again, and so is what could not be.
            if self._roster.is_fresh(tail.instance) or tail.look.is_unknown:
                continue
            if tail.look.is_gone or (tail.reader.has_ended and now - tail.idle_since >= self._settings.idle_seconds):
                tail.is_gone = tail.look.is_gone
                ended.append(tail)
        if not ended:
            return
        self._roster.begin_leaving(ended)
        all_lost = await self._in_thread(_give_up_and_close, ended)
        # Before it is noted that nothing is left of them.
        await self._outcomes.tell_all(
            [(tail.instance, each) for tail, lost in zip(ended, all_lost, strict=True) for each in lost]
        )
        self._roster.leave(ended)
        if self.finder is not None:
            self.finder.forget([tail.instance for tail in ended if tail.is_gone])

    async def _read_forever(self) -> None:
        # Each instance is submitted by itself: one whose stream has no room in the sender holds up no other.
        async with asyncio.TaskGroup() as sending:
            while True:
                self._wake.clear()
                while chosen := self._most_urgent():
                    for tail in chosen:
                        # From here on: what is being read is not retired meanwhile.
                        tail.is_sending = True
                    readings = await self._in_thread(_read_all, [tail.reader for tail in chosen])
                    for tail, reading in zip(chosen, readings, strict=True):
                        tail.is_due = tail.is_sending = reading is not None
                        if reading is not None:
                            sending.create_task(self._send(tail, reading), name=f"tail-send {tail.instance.folder}")
                await self._wake.wait()

    def _most_urgent(self) -> list[Tail]:
        room = min(_AT_ONCE_BYTES, self._settings.flying_bytes - self._outcomes.flying_bytes)
        if room <= 0:
            return []
        return self._turns.take(self.tails, room, self._monotonic(), least=_LEAST_BYTES, most=BLOCK_BYTES)

    async def _send(self, tail: Tail, reading: Reading) -> None:
        names = tail.reader.names
        assert names is not None  # noqa: S101 - only what is named is read
        tail.look = _less(tail.look, reading.size)
        self.counts.read_bytes += reading.size
        self.counts.read_lines += reading.levels.total()
        if names.is_partial:
            self.counts.unlabelled_lines += sum(push.count for push in reading.pushes)
        flight = self._outcomes.begin(tail, reading, self._monotonic())
        # Before the place moves over it.
        await self._outcomes.tell_all([(tail.instance, lost) for lost in reading.lost])
        for push in reading.pushes:
            self._outcomes.watch(await self._sender.submit(push), tail, flight, push, self._wake.set)
        if not reading.pushes:
            self._outcomes.land(tail)
            # Of what only told of losses, the next look sees whether there is more; to be read, it would wait for room.
            tail.is_due = tail.is_due and reading.size > 0
        tail.is_sending = False
        self._wake.set()

    # Keeping.

    async def _save_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.save_seconds)
            await self._save()

    async def _save(self) -> None:
        # Before anything is told: a place that moves on meanwhile may lie behind lines of whose refusal nobody knows.
        news = self._states.news(self.tails.values())
        await self._outcomes.tell_refused()
        if not await self._states.save(news):
            self.counts.store_failures += 1
        # What came under the name of one that is forgotten for good by now.
        self._roster.take()


def _look_at_all(readers: Sequence[Reader]) -> list[Look]:
    looks = []
    for reader in readers:
        try:
            looks.append(reader.look())
        except OSError as error:
            _log.warning("tail.file_not_seen", folder=reader.instance.folder, error=str(error))
            looks.append(Look(is_unknown=True))
    return looks


def _read_all(readers: Sequence[Reader]) -> list[Reading | None]:
    readings: list[Reading | None] = []
    for reader in readers:
        try:
            readings.append(reader.read())
        except OSError as error:
            _log.warning("tail.file_not_read", folder=reader.instance.folder, error=str(error))
            readings.append(None)
    return readings


def _give_up_and_close(tails: Sequence[Tail]) -> list[list[Lost]]:
    all_lost = []
    for tail in tails:
        all_lost.append(tail.reader.give_up() if tail.is_gone else [])
        tail.reader.close()
    return all_lost


def _let_go_all(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.let_go()


def _close_all(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.close()


def _less(look: Look, size: int) -> Look:
    return replace(look, unread=max(0, look.unread - size))
