"""
The request `lines` on a laptop: `up` against a cluster has no node's files, so the API server is asked, within bounds.

Not for a cluster: there the files are read on their nodes, which costs the API server nothing. What the API server
serves is the current instance of a container, and the one before; not what the kubelet has compressed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from agent.errors import RequestFailed, ServerSaid, Undecodable
from agent.kube.session import ApiSession
from agent.lines.answering import checked, payloads
from agent.lines.counting import LineNumbers
from agent.lines.filtering import Sieve
from agent.lines.joining import Entry
from agent.lines.newest import Newest
from agent.tail.parsing import parse_time
from agent.tail.paths import is_container_folder, parse_pod_folder
from kubescribe.labels.pods import MIRROR
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.codec import decode_line_query, encode_lines
from kubescribe.wire.link import LinePod, LineQuery, Lines
from kubescribe.wire.times import to_rfc3339

MAX_PODS = 50
MAX_FOLLOWING = 4
POLL_SECONDS = 2.0
_AT_ONCE = 4
_FILTERED_LINES = 5_000
"""Asked for of each container where a filter chooses among them."""

_LIMIT_BYTES = 4 * 2**20
_ANSWER_SECONDS = 10.0


class _Meta(msgspec.Struct, gc=False):
    uid: str = ""
    annotations: dict[str, str] | None = None


class _Named(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    restart_count: int = 0


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    containers: list[_Named] | None = None
    init_containers: list[_Named] | None = None
    ephemeral_containers: list[_Named] | None = None


class _Status(msgspec.Struct, gc=False, rename="camel"):
    container_statuses: list[_Named] | None = None
    init_container_statuses: list[_Named] | None = None
    ephemeral_container_statuses: list[_Named] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


_POD = msgspec.json.Decoder(_Pod)


@dataclass(slots=True)
class _Source:
    """One container of one pod; `last` is the time of the last line of it that was told."""

    pod: int
    named: LinePod
    container: str
    restart: int = 0
    last: int = 0


class ServedLines:
    """Answers requests for lines from the API server's own `pods/log`."""

    def __init__(self, session: ApiSession, scrubber: Scrubber, numbers: LineNumbers) -> None:
        self._session = session
        self._scrubber = scrubber
        self._asking = asyncio.Semaphore(_AT_ONCE)
        self.numbers = numbers

    async def handle(self, arguments: bytes) -> AsyncIterator[bytes]:
        """Answer one request. Raises WireError and Undecodable for a question that cannot be."""
        self.numbers.requests += 1
        query = checked(decode_line_query(arguments))
        sieve = Sieve(query, self._scrubber)
        if len(query.pods) > MAX_PODS:
            raise Undecodable(f"{len(query.pods)} pods, of at most {MAX_PODS} the API server is asked; name fewer")
        if query.follow and self.numbers.following >= MAX_FOLLOWING:
            raise Undecodable(f"{MAX_FOLLOWING} requests follow lines through the API server already")
        self.numbers.following += query.follow
        try:
            missing: list[str] = []
            sources = await self._sources(query, missing)
            newest = Newest(query.limit)
            oldest = [0] * len(query.pods)
            for number, entries in enumerate(await self._read_all(query, sources, missing)):
                source = sources[number]
                if entries:
                    source.last = entries[-1].at
                    oldest[source.pod] = min(oldest[source.pod] or entries[0].at, entries[0].at)
                for at, entry in enumerate(entries):
                    if query.limit and sieve.wants(entry):
                        newest.take(entry, number, 0, at)
            yield encode_lines(Lines(missing=tuple(missing), oldest=tuple(oldest)))
            found = [
                sieve.line(entry, pod=sources[n].pod, container=sources[n].container, restart=sources[n].restart)
                for n, entry in newest.sorted()
            ]
            for lines in payloads(found):
                yield encode_lines(lines)
            if query.follow:
                yield encode_lines(Lines(live=True))
                async for lines in self._follow(query, sieve, sources):
                    yield encode_lines(lines)
        finally:
            self.numbers.following -= query.follow

    async def _follow(self, query: LineQuery, sieve: Sieve, sources: list[_Source]) -> AsyncIterator[Lines]:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            sources = _going_on(await self._sources(query, []), sources)
            if not sources:
                return
            told = []
            for source, entries in zip(sources, await self._read_all(query, sources, []), strict=True):
                new = [entry for entry in entries if entry.at > source.last]
                if new:
                    source.last = new[-1].at
                told += [
                    sieve.line(entry, pod=source.pod, container=source.container, restart=source.restart)
                    for entry in new
                    if sieve.wants(entry)
                ]
            for lines in payloads(sorted(told, key=lambda line: line.at)):
                yield msgspec.structs.replace(lines, live=True)

    async def _sources(self, query: LineQuery, missing: list[str]) -> list[_Source]:
        found = await asyncio.gather(*(self._containers(at, pod, query, missing) for at, pod in enumerate(query.pods)))
        return [source for sources in found for source in sources]

    async def _containers(self, at: int, pod: LinePod, query: LineQuery, missing: list[str]) -> list[_Source]:
        title = f"pod {pod.namespace}/{pod.name}"
        parsed = parse_pod_folder(f"{pod.namespace}_{pod.name}_{pod.uid}")
        if parsed is None or parsed[:3] != (pod.namespace, pod.name, pod.uid):
            missing.append(f"{title[:128]}: that is no name and uid of a pod")
            return []
        try:
            seen = _POD.decode(await self._get(_path(pod), {}, resource="pods"))
        except (RequestFailed, msgspec.MsgspecError) as error:
            missing.append(f"{title}: {_told(error)}")
            return []
        if pod.uid not in (seen.metadata.uid, (seen.metadata.annotations or {}).get(MIRROR)):
            missing.append(f"{title}: another pod has its name now")
            return []
        spec, status = seen.spec, seen.status
        counts = {
            it.name: it.restart_count
            for several in (
                status.container_statuses,
                status.init_container_statuses,
                status.ephemeral_container_statuses,
            )
            for it in several or ()
        }
        names = [
            it.name
            for several in (spec.init_containers, spec.containers, spec.ephemeral_containers)
            for it in several or ()
        ]
        before = int(query.previous)
        return [
            _Source(at, pod, name, max(0, counts.get(name, 0) - before))
            for name in names
            if is_container_folder(name) and name in counts and (not query.containers or name in query.containers)
        ]

    async def _read_all(self, query: LineQuery, sources: Sequence[_Source], missing: list[str]) -> list[list[Entry]]:
        return await asyncio.gather(*(self._read(query, source, missing) for source in sources))

    async def _read(self, query: LineQuery, source: _Source, missing: list[str]) -> list[Entry]:
        is_filtered = bool(query.grep or query.levels or query.until)
        params = {
            "container": source.container,
            "timestamps": "true",
            "tailLines": str(_FILTERED_LINES if is_filtered or source.last else max(1, query.limit)),
            "limitBytes": str(_LIMIT_BYTES),
        }
        since = max(query.since, source.last)
        if since:
            # Whole seconds are all that it takes; what is told again is left out.
            params["sinceTime"] = f"{to_rfc3339(since)[:19]}Z"
        if query.previous:
            params["previous"] = "true"
        try:
            body = await self._get(f"{_path(source.named)}/log", params, resource="pods/log")
        except RequestFailed as error:
            missing.append(f"pod {source.named.namespace}/{source.named.name}: {source.container}: {_told(error)}")
            return []
        self.numbers.read_bytes += len(body)
        return _entries(body)

    async def _get(self, path: str, params: dict[str, str], *, resource: str) -> bytes:
        async with self._asking:
            accept = "application/json" if resource == "pods" else "*/*"
            return await self._session.get(
                path, params, verb="get", resource=resource, accept=accept, deadline_seconds=_ANSWER_SECONDS
            )


def _going_on(now: list[_Source], before: Sequence[_Source]) -> list[_Source]:
    last = {(it.pod, it.container): it.last for it in before}
    return [replace(it, last=last.get((it.pod, it.container), 0)) for it in now]


def _path(pod: LinePod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _entries(body: bytes) -> list[Entry]:
    found = []
    for line in body.split(b"\n"):
        stamp, _, text = line.partition(b" ")
        at = parse_time(stamp)
        # Which of the two streams it was is not said; what has no time is the kubelet's own complaint.
        if at is not None:
            found.append(Entry(at, b"stdout", text))
    return found


def _told(error: Exception) -> str:
    if isinstance(error, ServerSaid):
        return error.message[:200] or str(error)
    return str(error)[:200]
