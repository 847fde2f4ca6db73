"""
The request `lines`: what is asked is read from the node's files by threads, and told in payloads that fit the link.

Limits: two requests read at a time and sixteen follow; what is held for one is bounded in lines and bytes; whoever
takes lines more slowly than they come loses the oldest, and is told how many.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent.errors import Undecodable
from agent.lines.counting import LineNumbers
from agent.lines.filtering import Sieve
from agent.lines.finding import find_instances, generations_of, previous_only
from agent.lines.following import MAX_FILES, POLL_SECONDS, Follower
from agent.lines.joining import Entry
from agent.lines.newest import Newest, read_newest
from agent.lines.pacing import Pace
from agent.lines.reading import BackwardReader
from agent.tail.generations import Generation
from agent.tail.paths import Instance
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.codec import decode_line_query, encode_lines
from kubescribe.wire.link import MAX_LINES_BYTES, NO_EARLIER, Line, LineQuery, Lines
from kubescribe.wire.times import to_rfc3339

MAX_READING = 2
MAX_FOLLOWING = 16
MAX_WAITING = 14
"""Requests that wait for their turn to read; with those that follow they are as many as a link takes."""

MAX_PODS = 500
MAX_LIMIT = 10_000
MAX_INSTANCES = 1_000
_MAX_BACKLOG_LINES = 5_000
_MAX_BACKLOG_BYTES = 4 * 2**20
"""What waits for one follower's asker."""

_LINE_OVERHEAD_BYTES = 64


@dataclass(slots=True, frozen=True)
class _Source:
    """One instance with its files, as they were when the request came."""

    pod: int
    instance: Instance
    generations: Sequence[Generation]
    is_last: bool


class LineReader:
    """Answers requests for the lines of the pods whose files lie below *folder*."""

    def __init__(self, folder: Path, scrubber: Scrubber) -> None:
        self._folder = folder
        self._scrubber = scrubber
        self._pool = ThreadPoolExecutor(max_workers=MAX_READING, thread_name_prefix="lines")
        self._polls = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lines-follow")
        self._waiting = 0
        self.numbers = LineNumbers()

    def close(self) -> None:
        """End the threads; the requests must have ended."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._polls.shutdown(wait=False, cancel_futures=True)

    async def handle(self, arguments: bytes) -> AsyncIterator[bytes]:
        """Answer one request. Raises WireError and Undecodable for a question that cannot be."""
        numbers = self.numbers
        numbers.requests += 1
        numbers.refused += 1  # until it is known that it is not
        query = decode_line_query(arguments)
        sieve = Sieve(checked(query), self._scrubber)
        if query.follow and numbers.following >= MAX_FOLLOWING:
            raise Undecodable(f"{MAX_FOLLOWING} requests follow lines of this node already")
        if self._waiting >= MAX_READING + MAX_WAITING:
            raise Undecodable(f"{self._waiting} requests for lines of this node are being answered already")
        numbers.refused -= 1
        numbers.following += query.follow
        follower = Follower(self._folder, query.pods, query.containers) if query.follow else None
        try:
            for lines in await self._read(query, sieve, follower):
                yield encode_lines(lines)
            if follower is not None:
                async for lines in self._follow(follower, sieve):
                    numbers.dropped += lines.dropped
                    yield encode_lines(lines)
        finally:
            numbers.following -= query.follow
            if follower is not None:
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._polls, follower.close))

    async def _read(self, query: LineQuery, sieve: Sieve, follower: Follower | None) -> list[Lines]:
        self._waiting += 1
        try:
            with Pace() as pace:
                work = self._pool.submit(self._answer, query, sieve, follower, pace)
                answer = asyncio.wrap_future(work)
                try:
                    return await asyncio.shield(answer)
                except asyncio.CancelledError:
                    pace.abandon()
                    # Nobody may close what a thread still opens.
                    await asyncio.wait([answer])
                    answer.cancelled() or answer.exception()
                    raise
        finally:
            self._waiting -= 1

    def _answer(self, query: LineQuery, sieve: Sieve, follower: Follower | None, pace: Pace) -> list[Lines]:
        """Return the newest lines; in a thread."""
        pace.begin()
        sources, missing = self._sources(query, pace)
        if follower is not None:
            for source in (it for it in sources if it.is_last):
                follower.begin_at(source.pod, source.instance, source.generations[-1] if source.generations else None)
        readers = [
            BackwardReader(it.generations, since=query.since, until=query.until, is_whole=not it.is_last)
            for it in sources
        ]
        newest = Newest(query.limit)
        down_to = read_newest(readers, sieve, newest, since=query.since, pause=pace.pause) if query.limit else None
        self.numbers.read_bytes += sum(reader.read_bytes for reader in readers)
        if down_to is not None:
            missing.append(f"only what is younger than {to_rfc3339(down_to)} was searched: ask for a shorter time")
        if newest.is_cut:
            missing.append("the lines are long: there are older ones than these")
        lines = [
            sieve.line(entry, pod=sources[at].pod, container=sources[at].instance.container,
                       restart=sources[at].instance.restart)
            for at, entry in newest.sorted()
        ]  # fmt: skip
        oldest = [0] * len(query.pods)
        for source in sources:
            first = next((it.identity for it in source.generations if it.identity > 0), 0)
            if first and not 0 < oldest[source.pod] <= first:
                oldest[source.pod] = first
        first_payload = Lines(missing=tuple(missing), oldest=tuple(oldest))
        return [first_payload, *payloads(lines)]

    def _sources(self, query: LineQuery, pace: Pace) -> tuple[list[_Source], list[str]]:
        sources: list[_Source] = []
        missing: list[str] = []
        for index, pod in enumerate(query.pods):
            found = find_instances(self._folder, pod, query.containers)
            missing += found.missing
            wanted = previous_only(found.instances) if query.previous else found.instances
            if query.previous and found.instances and not wanted:
                missing.append(f"pod {pod.namespace}/{pod.name}: {NO_EARLIER}")
            last = {it.container: it.restart for it in found.instances}
            for instance in wanted:
                is_last = last[instance.container] == instance.restart
                try:
                    sources.append(_Source(index, instance, generations_of(self._folder, instance), is_last))
                except OSError as error:
                    missing.append(f"pod {pod.namespace}/{pod.name}: files cannot be read: {error.strerror}")
            pace.pause()
            if len(sources) > MAX_INSTANCES:
                missing.append(f"more than {MAX_INSTANCES} containers were asked for; name fewer pods")
                break
        return sources, missing

    async def _follow(self, follower: Follower, sieve: Sieve) -> AsyncIterator[Lines]:
        backlog = Backlog()
        loop = asyncio.get_running_loop()
        told_left_out = False
        news = asyncio.Event()
        ended = False

        async def poll() -> None:
            nonlocal ended
            while not (ended := follower.has_ended):
                begun = loop.time()
                found, read = await loop.run_in_executor(self._polls, _poll, follower, sieve)
                self.numbers.read_bytes += read
                backlog.add(found, follower.take_skipped())
                if backlog.has_lines:
                    news.set()
                # In a flood it rests as long as it reads, as every request does.
                await asyncio.sleep(POLL_SECONDS if not read else max(POLL_SECONDS / 5, loop.time() - begun))
            news.set()

        yield Lines(live=True)
        task = asyncio.create_task(poll(), name="follow lines")
        try:
            while True:
                await news.wait()
                news.clear()
                if follower.left_out and not told_left_out:
                    told_left_out = True
                    yield Lines(
                        missing=(f"{follower.left_out} containers are not followed: {MAX_FILES} are",), live=True
                    )
                for lines in backlog.take():
                    yield lines
                if task.done():
                    task.result()
                if ended and not backlog.has_lines:
                    return
        finally:
            task.cancel()
            await asyncio.wait([task])


def _poll(follower: Follower, sieve: Sieve) -> tuple[list[Line], int]:
    """Return what is new and wanted, in the order of time, and how many bytes were read; in a thread."""
    found: list[Line] = []

    def sink(pod: int, instance: Instance, entry: Entry) -> None:
        if sieve.wants(entry):
            found.append(sieve.line(entry, pod=pod, container=instance.container, restart=instance.restart))

    read = follower.poll(sink)
    found.sort(key=lambda line: line.at)
    return found, read


class Backlog:
    """Lines that came and were not taken yet."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._dropped = 0

    @property
    def has_lines(self) -> bool:
        """Tell whether there is something to tell."""
        return bool(self._lines) or self._dropped > 0

    def add(self, lines: Sequence[Line], skipped: int = 0) -> None:
        """Take *lines*, before which *skipped* were left out; of too many the oldest are dropped and counted."""
        self._dropped += skipped
        self._lines.extend(lines)
        self._bytes += sum(map(_weight, lines))
        while len(self._lines) > _MAX_BACKLOG_LINES or self._bytes > _MAX_BACKLOG_BYTES:
            self._bytes -= _weight(self._lines.popleft())
            self._dropped += 1

    def take(self) -> Iterator[Lines]:
        """Yield what waits."""
        dropped, self._dropped = self._dropped, 0
        taken: list[Line] = []
        size = 0
        while self._lines:
            line = self._lines.popleft()
            self._bytes -= _weight(line)
            if taken and size + _weight(line) > MAX_LINES_BYTES:
                yield Lines(lines=tuple(taken), live=True, dropped=dropped)
                dropped, taken, size = 0, [], 0
            taken.append(line)
            size += _weight(line)
        if taken or dropped:
            yield Lines(lines=tuple(taken), live=True, dropped=dropped)


def payloads(lines: Sequence[Line]) -> Iterator[Lines]:
    """Yield *lines* in payloads of at most MAX_LINES_BYTES, unless one line is larger."""
    part: list[Line] = []
    size = 0
    for line in lines:
        if part and size + _weight(line) > MAX_LINES_BYTES:
            yield Lines(lines=tuple(part))
            part, size = [], 0
        part.append(line)
        size += _weight(line)
    if part:
        yield Lines(lines=tuple(part))


def _weight(line: Line) -> int:
    # At most three bytes a character but for what is outside the basic plane: near enough for a limit.
    return len(line.text) * (1 if line.text.isascii() else 3) + _LINE_OVERHEAD_BYTES


def checked(query: LineQuery) -> LineQuery:
    """Return *query*. Raises Undecodable for one that cannot be answered."""
    if not 0 <= query.limit <= MAX_LIMIT:
        raise Undecodable(f"limit: {query.limit} lines, at most {MAX_LIMIT} are read")
    if not 1 <= len(query.pods) <= MAX_PODS:
        raise Undecodable(f"pods: {len(query.pods)}, from 1 to {MAX_PODS} are looked for")
    if query.follow and (query.previous or query.until):
        raise Undecodable("follow: instances that ended, and a time that has passed, have nothing to follow")
    return query
