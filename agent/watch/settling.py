"""
What became of objects that are in no stream any more: each is asked for, and the answer recorded (watching rule 23).

The aggregator doubts and asks; here is only the asking. A GET without a version reads etcd, so that a 404, or another
uid, is a delete; what is there is recorded as it is now.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from agent.errors import RequestFailed, ServerSaid, Undecodable
from agent.watch.changes import ChangeRecorder
from agent.watch.decoding import AnyObject, decode_object
from agent.watch.kinds import WatchedKind
from agent.watch.requests import accepts
from agent.watch.sharing import WatchTools
from agent.watch.watcher import Watcher
from kubescribe.wire.link import Doubt
from kubescribe.wire.records import Change, Interval

_LOG = structlog.get_logger(__name__)

_AT_ONCE = 4
"""GETs under way: hundreds of doubts come from one lost list, and the API server has others to serve."""

_GET_SECONDS = 10.0


async def settle(
    doubts: Sequence[Doubt], kinds: Mapping[str, WatchedKind], watcher: Watcher, tools: WatchTools
) -> None:
    """
    Record what became of each of *doubts*, in the name of *watcher*'s stream.

    An object that cannot be asked for, and one of a kind that is not among *kinds* (by name), stays in doubt: it is
    logged and left out.
    """
    waiting = deque(doubts)

    async def ask() -> None:
        while waiting:
            doubt = waiting.popleft()
            try:
                change = await _settled(doubt, kinds.get(doubt.kind), watcher, tools)
            except (RequestFailed, Undecodable) as error:
                _LOG.info("watch.doubt_kept", kind=doubt.kind, name=doubt.name, detail=str(error)[:256])
            else:
                await watcher.record([change])

    async with asyncio.TaskGroup() as group:
        for number in range(min(_AT_ONCE, len(waiting))):
            group.create_task(ask(), name=f"settle {number}")


async def _settled(doubt: Doubt, kind: WatchedKind | None, watcher: Watcher, tools: WatchTools) -> Change:
    if kind is None:
        raise Undecodable(f"the kind {doubt.kind[:64]!r} is not watched here")
    found = await _find(doubt, kind, tools)
    now = tools.clock.now_ns()
    if found is None or found.metadata.uid != doubt.uid:
        return Change(
            stream=watcher.stream,
            term=watcher.term,
            kind=doubt.kind,
            name=doubt.name,
            namespace=doubt.namespace,
            uid=doubt.uid,
            resource_version=doubt.resource_version,
            observed_at=now,
            gone=True,
            listed=True,
            inferred=Interval(after=doubt.after, before=max(now, doubt.after)) if doubt.after else None,
        )
    recorder = ChangeRecorder(
        kind, None, tools.keyring.redactor, tools.counters, max_body_bytes=tools.settings.max_body_bytes
    )
    # The object may be of any node; it is told in the name of the stream that lost it.
    recorder.stream, recorder.term = watcher.stream, watcher.term
    return recorder.listed(found, now)


async def _find(doubt: Doubt, kind: WatchedKind, tools: WatchTools) -> AnyObject | None:
    try:
        body = await tools.session.get(
            kind.object_path(doubt.namespace, doubt.name),
            verb="get",
            resource=kind.stream_resource,
            accept=accepts(kind),
            deadline_seconds=_GET_SECONDS,
        )
    except ServerSaid as error:
        if error.is_missing:
            return None
        raise
    found = decode_object(body)
    if not found.metadata.uid or found.metadata.name != doubt.name:
        # A proxy may answer for the API server: what is not that object says nothing of it.
        raise Undecodable(f"the answer is not the object: kind {found.kind[:64]!r} {found.metadata.name[:64]!r}")
    return found
